/*
 * Quantities of Kubernetes, such as `100m` or `64Mi`.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number that a quantity stands for; undefined if it is not a quantity, or negative. */
export function parseQuantity(text: string): number | undefined {
  const parts = /^([0-9]+(?:\.[0-9]+)?)(?:[eE]([0-9]{1,2})|([numkMGTPE]|[KMGTPE]i))?$/.exec(text);
  if (parts === null) return undefined;
  const [, digits, exponent, suffix = ''] = parts;
  return exponent === undefined ? Number(digits) * (SUFFIXES[suffix] ?? 1) : Number(digits) * 10 ** Number(exponent);
}
