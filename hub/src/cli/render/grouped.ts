/** A number with its digits in groups of three, such as `12,345`. */
export const grouped = (number: number): string => number.toLocaleString("en-US")
