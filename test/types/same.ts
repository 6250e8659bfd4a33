/** `true` if two types are the same, not only assignable to each other. */
export type Equal<Left, Right> = (<Type>() => Type extends Left ? 1 : 2) extends (<Type>() => Type extends Right ? 1 : 2) ? true : false

/** Compiles for `same<Equal<A, B>>()` only if A and B are the same. */
export function same<Type extends true> (_type?: Type): void {}
