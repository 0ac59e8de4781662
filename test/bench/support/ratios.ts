/*
 * Ratios that benchmarks print in a form that `npm run bench` collects, stores and compares. All are costs: more is worse. Absolute
 * figures depend on the machine and are never compared.
 */

/** One ratio of a benchmark. */
export interface Ratio {
  /** `benchmark/what`, without spaces. */
  readonly name: string;
  readonly value: number;
  /** How many times the baseline it may be before it counts as worse. */
  readonly tolerance: number;
}

/** How far ratios of one kind vary between runs of the same code on a machine with other work. */
export const TOLERANCE = {
  /** CPU time, measured in turns. */
  cpu: 1.3,
  /** Wall time, and medians of few samples. */
  time: 1.6,
  /** 99th percentiles. */
  tail: 2.5,
  memory: 1.2,
} as const;

/** Ratios of an earlier run by name. */
export type Baseline = Readonly<Record<string, number>>;

/** Result of {@link compareRatios}; each line is for a person. */
export interface Comparison {
  /** Ratios that are worse than the baseline and its tolerance, that were not measured again, or that the baseline does not have. */
  readonly failures: readonly string[];
  /** Ratios that are better by more than the tolerance: the baseline should be stored again. */
  readonly notes: readonly string[];
}

/** Prints a ratio on a separate line. @param parts of its name; characters other than letters, digits, dots and slashes become `-` */
export function reportRatio(parts: readonly (string | number)[], value: number, tolerance: number): void {
  const name = parts.map(nameOf).join('/');
  process.stdout.write(`ratio ${name} ${value.toFixed(3)} tolerance ${tolerance.toFixed(2)}\n`);
}

/** Ratios that a benchmark printed. */
export function readRatios(output: string): readonly Ratio[] {
  return output.split('\n').flatMap((line) => {
    const [word, name = '', value, other, tolerance, ...rest] = line.split(' ');
    const isRatio = word === 'ratio' && other === 'tolerance' && rest.length === 0;
    return isRatio && Number.isFinite(Number(value)) ? [{ name, value: Number(value), tolerance: Number(tolerance) }] : [];
  });
}

/** Compares with the baseline what was measured. @param expected the ratios of the baseline that this run should have measured */
export function compareRatios(baseline: Baseline, measured: readonly Ratio[], expected: (name: string) => boolean): Comparison {
  const failures: string[] = [];
  const notes: string[] = [];
  for (const { name, value, tolerance } of measured) {
    const before = baseline[name];
    if (before === undefined) failures.push(`${name} ${value}: not in the baseline, which --store writes`);
    else if (value > before * tolerance) failures.push(`${name} ${value}: more than ${tolerance} times the ${before} of the baseline`);
    else if (value * tolerance < before)
      notes.push(`${name} ${value}: less than the ${before} of the baseline by more than ${tolerance} times`);
  }
  const names = new Set(measured.map(({ name }) => name));
  for (const name of Object.keys(baseline)) if (!names.has(name) && expected(name)) failures.push(`${name}: not measured`);
  return { failures, notes };
}

function nameOf(part: string | number): string {
  return String(part)
    .toLowerCase()
    .replaceAll(/[^a-z0-9./]+/g, '-')
    .replace(/^-/, '')
    .replace(/-$/, '');
}
