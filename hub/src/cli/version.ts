/** The version of the packages of this repository, which have the same one. */
export const version = "0.1.0"
