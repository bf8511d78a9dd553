/** Leaves out what is undefined, so that "absent" has one spelling in a table and equal inputs give equal tables. */
export function setFields<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): Partial<T> {
  const result: Partial<T> = {}
  for (const key in fields) {
    const value = fields[key]
    if (value !== undefined) result[key] = value
  }
  return result
}
