/*
 * The benchmarks of `npm run bench`.
 */

/** One benchmark, a file of its name in this directory's parent. */
export interface Benchmark {
  /** Arguments of `--quick`. */
  readonly quick: readonly string[];
  /** `baseline`: prints ratios that `--compare` holds against the baseline; `none`: prints absolute figures or fails on its own bounds only. */
  readonly ratios: 'baseline' | 'none';
}

/** In the order of their runs. */
export const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  proxy: { quick: ['--quick'], ratios: 'baseline' },
  flood: { quick: ['--seconds', '2', '--rounds', '1'], ratios: 'baseline' },
  unread: { quick: ['--seconds', '3', '--connections', '100'], ratios: 'none' },
  aborts: { quick: ['--connections', '1000'], ratios: 'none' },
  bodies: { quick: ['--gigabytes', '0.25', '--rounds', '1'], ratios: 'baseline' },
  grpc: { quick: ['--pairs', '3', '--seconds', '2'], ratios: 'baseline' },
  streams: { quick: ['--pairs', '3', '--megabytes', '32'], ratios: 'baseline' },
  tcp: { quick: ['--pairs', '3', '--megabytes', '128', '--connections', '200'], ratios: 'baseline' },
  tls: { quick: ['--pairs', '3', '--handshakes', '100', '--megabytes', '64'], ratios: 'baseline' },
  reloads: { quick: ['--seconds', '10'], ratios: 'none' },
  distinct: { quick: ['--tokens', '100000'], ratios: 'none' },
  admin: { quick: ['--seconds', '10'], ratios: 'none' },
  issuers: { quick: [], ratios: 'baseline' },
  engine: { quick: ['--quick'], ratios: 'baseline' },
  selection: { quick: ['--quick'], ratios: 'baseline' },
  publish: { quick: ['--quick'], ratios: 'none' },
  'control-plane': { quick: ['--namespaces', '10'], ratios: 'none' },
  growth: { quick: ['--quick'], ratios: 'none' },
  'key-sources': { quick: ['--rules', '512', '--seconds', '5'], ratios: 'none' },
  verify: { quick: [], ratios: 'none' },
};

/** Benchmarks whose ratios are not stored yet: `--compare` fails for them. Storing them takes a quiet machine. */
export const NOT_STORED: readonly string[] = [];

/** The benchmark that a ratio belongs to. */
export function benchmarkOf(ratio: string): string {
  return ratio.split('/', 1)[0] ?? '';
}
