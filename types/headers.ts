/** A header value as `acceptWith` and `reject` take it; a list becomes one field line per item. */
export type HeaderValue = string | number | boolean | readonly string[]

/** Headers without a schema: any name, any {@link HeaderValue}. */
export type HeaderRecord = Readonly<Record<string, HeaderValue>>
