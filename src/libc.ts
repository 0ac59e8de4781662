/*
 * Calls functions of the C library through `node:ffi`, for what Node.js itself cannot ask the kernel.
 */

/** Functions of the C library. */
export interface Libc<F> {
  readonly functions: F;
  /** Address of memory that the caller keeps referenced while it is used. */
  readonly addressOf: (memory: ArrayBufferView) => bigint;
}

/** The functions, or one sentence why they cannot be called. */
export type LibcOrProblem<F> = Libc<F> | { readonly problem: string };

interface Ffi<F> {
  readonly dlopen: (path: null, symbols: object) => { readonly functions: F };
  readonly getRawPointer: (memory: ArrayBufferView) => bigint;
}

/**
 * Opens functions of the C library.
 *
 * @param symbols types of the result and of the arguments by name, as `dlopen` of `node:ffi` takes them; `F` must say the same
 * @param loadFfi the module `node:ffi`; undefined where Node.js has none
 */
export function openLibc<F>(
  symbols: Readonly<Record<keyof F, { readonly return: string; readonly arguments: readonly string[] }>>,
  loadFfi: () => unknown = () => process.getBuiltinModule('node:ffi'),
): LibcOrProblem<F> {
  try {
    const ffi = loadFfi();
    if (!isFfi<F>(ffi)) return { problem: `this Node.js (${process.version}) has no module node:ffi` };
    // The C library is in the process already, whatever its file is called.
    return { functions: ffi.dlopen(null, symbols).functions, addressOf: (memory) => ffi.getRawPointer(memory) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problem: `node:ffi cannot call ${Object.keys(symbols).join(', ')}: ${reason}` };
  }
}

function isFfi<F>(module: unknown): module is Ffi<F> {
  return (
    typeof module === 'object' &&
    module !== null &&
    typeof Reflect.get(module, 'dlopen') === 'function' &&
    typeof Reflect.get(module, 'getRawPointer') === 'function'
  );
}
