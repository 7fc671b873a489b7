export interface Link {
  readonly kind: "url"
  readonly span: { readonly start: number; readonly end: number }
  readonly data: { readonly url: string }
}

export declare const links: (text: string) => Array<Link>
