/*
 * The rules of `promtool check metrics` (promlint of prometheus/client_golang), for scrapes in the text format 0.0.4. The parser accepts only what
 * the format allows and throws at everything else.
 */

/** All metrics of one name. */
export interface MetricFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string | undefined;
  /** Name with suffix, labels in order, value. */
  readonly samples: readonly Sample[];
}

/** One line with a value. */
export interface Sample {
  readonly name: string;
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly value: number;
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/;
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? ([Nn]a[Nn]|[+-]Inf|[+-]?[\d.]+(?:e[+-]?\d+)?)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/g;
const SUFFIXES: Readonly<Record<string, RegExp>> = { histogram: /_(bucket|sum|count)$/, summary: /_(sum|count)$/ };

/** The families of a scrape. @throws Error at the first line that the format does not allow */
export function parseMetrics(text: string): readonly MetricFamily[] {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { name: string; type: string; help: string | undefined; samples: Sample[] }>();
  let current: { name: string; type: string; help: string | undefined; samples: Sample[] } | undefined;
  const family = (name: string): NonNullable<typeof current> => {
    if (current?.name === name) return current;
    if (families.has(name)) throw new Error(`${name}: its lines are not together`);
    current = { name, type: 'untyped', help: undefined, samples: [] };
    families.set(name, current);
    return current;
  };
  for (const line of text.slice(0, -1).split('\n')) {
    const [, helped, help] = HELP.exec(line) ?? [];
    const [, typed, type] = TYPE.exec(line) ?? [];
    if (line === '') continue;
    if (helped !== undefined) family(helped).help = help;
    else if (typed !== undefined) family(typed).type = type ?? '';
    else addSample(line, current, family);
  }
  return [...families.values()];
}

type Family = { name: string; type: string; help: string | undefined; samples: Sample[] };

function addSample(line: string, current: Family | undefined, family: (name: string) => Family): void {
  const [, name, labels = '', value] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a line of the text format: ${line}`);
  const suffixes = current === undefined ? undefined : SUFFIXES[current.type];
  const owner = suffixes !== undefined && name.replace(suffixes, '') === current?.name ? current : family(name);
  const pairs = [...labels.matchAll(LABEL)].map(([, label = '', text = '']) => [label, text] as const);
  owner.samples.push({ name, labels: pairs, value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value) });
}

const BASE_UNITS = ['amperes', 'bytes', 'celsius', 'grams', 'joules', 'kelvin', 'meters', 'metres', 'seconds', 'volts'];
const OTHER_UNITS = /^(minutes|hours|days|weeks|kelvins|fahrenheit|rankine|inches|yards|miles|bits|calories|pounds|ounces)$/;
const PREFIXED =
  /^(pico|nano|micro|milli|centi|deci|deca|hecto|kilo|kibi|mega|mibi|giga|gibi|tera|tebi|peta|pebi)(amperes|bytes|grams|joules|meters|metres|seconds|volts|bits)$/;
const ABBREVIATED = /_(s|ms|us|ns|sec|b|kb|mb|gb|tb|pb|m|h|d)(_|$)/i;
const CAMEL_CASE = /[a-z][A-Z]/;

/** What `promtool check metrics` finds, one line each; empty: nothing. */
export function lintMetrics(text: string): readonly string[] {
  return parseMetrics(text).flatMap((family) =>
    [...lintName(family), ...lintSamples(family)].map((problem) => `${family.name}: ${problem}`),
  );
}

function lintName({ name, type, help }: MetricFamily): readonly string[] {
  const isTotal = name.endsWith('_total');
  const parts = name.split('_');
  const rules: readonly (readonly [boolean, string])[] = [
    [help === undefined, 'no help text'],
    [parts.some((part) => !BASE_UNITS.includes(part) && (OTHER_UNITS.test(part) || PREFIXED.test(part))), 'not a base unit'],
    [type === 'counter' && !isTotal, 'counter metrics should have "_total" suffix'],
    [type !== 'counter' && type !== 'untyped' && isTotal, 'non-counter metrics should not have "_total" suffix'],
    [type !== 'histogram' && type !== 'untyped' && name.endsWith('_bucket'), 'non-histogram metrics should not have "_bucket" suffix'],
    [SUFFIXES[type] === undefined && /_(count|sum)$/.test(name), 'should not have the suffix of a histogram or summary'],
    [type !== 'untyped' && new RegExp(`_${type}(_|$)`, 'i').test(name), 'metric name should not include its type'],
    [name.includes(':'), 'metric names should not contain ":"'],
    [CAMEL_CASE.test(name), 'metric names should be written in snake_case'],
    [ABBREVIATED.test(name), 'metric names should not contain abbreviated units'],
  ];
  return rules.flatMap(([broken, text]) => (broken ? [text] : []));
}

function lintSamples({ type, samples }: MetricFamily): readonly string[] {
  const labels = new Set(samples.flatMap((sample) => sample.labels.map(([name]) => name)));
  const keys = samples.map((sample) => JSON.stringify([sample.name, sample.labels.toSorted(([one], [other]) => (one < other ? -1 : 1))]));
  const rules: readonly (readonly [boolean, string])[] = [
    [type !== 'histogram' && labels.has('le'), 'non-histogram metrics should not have "le" label'],
    [type !== 'summary' && labels.has('quantile'), 'non-summary metrics should not have "quantile" label'],
    [[...labels].some((name) => CAMEL_CASE.test(name)), 'label names should be written in snake_case'],
    [new Set(keys).size !== keys.length, 'metric not unique'],
    [type === 'counter' && samples.some(({ value }) => !(value >= 0)), 'a counter is not negative'],
  ];
  return rules.flatMap(([broken, text]) => (broken ? [text] : []));
}
