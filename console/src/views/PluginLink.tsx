/** A plugin that has found something, with its version then. */
import { pathOf } from "../route.ts"
import { Name } from "./Name.tsx"

interface Props {
  readonly plugin_name: string
  readonly plugin_version: string | null
}

export const PluginLink = ({ plugin_name, plugin_version }: Props) => (
  <a href={pathOf.plugin(plugin_name)}>
    <Name text={plugin_name} />
    {plugin_version !== null && (
      <>
        {" "}
        <Name text={plugin_version} />
      </>
    )}
  </a>
)
