// The types of names.cjs, for the blocks in TypeScript.

declare const lockFile: typeof import('@locket/native').lockFile
declare const query: typeof import('@locket/native').query
declare function build(): Promise<string>
declare function deploy(): Promise<string>
declare function read(): Promise<string>
declare function write(): Promise<string>
declare function $equal(actual: unknown, expected: unknown): void
declare function $throws(call: () => unknown, code: string): Promise<void>
