// For types that are compared. Compiled, never run.

/** Is `true` if these are the same type: it is not enough that one fits the other. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles if these are the same type, which is said by `true`. */
export const same = <A, B>(_: Same<A, B>) => {}
