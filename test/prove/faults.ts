/*
 * `npm run prove:faults [-- PAIRS FIRST]`: plants one fault at a time in a copy of the analysis, and expects the comparison with brute force to
 * find it. Exit code 1 when a fault stays unnoticed.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface Fault {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const FAULTS: readonly Fault[] = [
  { name: 'prefixes match exactly', file: 'pattern.ts', from: 'return [...elements, ANY];', to: 'return elements;' },
  { name: 'suffixes match anywhere', file: 'pattern.ts', from: 'return [ANY, ...elements];', to: 'return [ANY, ...elements, ANY];' },
  { name: 'a segment may be empty', file: 'pattern.ts', from: '? [ONE_OF_SEGMENT, SEGMENT]', to: '? [SEGMENT]' },
  { name: 'the rest ends at a slash', file: 'pattern.ts', from: ': [REST],', to: ': [SEGMENT],' },
  { name: 'hosts distinguish case', file: 'pattern.ts', from: '? oneOf([code, code - 32])', to: '? oneOf([code])' },
  {
    name: 'a trust domain spans slashes',
    file: 'pattern.ts',
    from: 'BEFORE_SLASH, ...literal(`${suffix}/`)',
    to: 'ON_LINE, ...literal(`${suffix}/`)',
  },
  { name: 'an account ends where it likes', file: 'pattern.ts', from: "[[], [...literal('/'), ONE_ON_LINE, ON_LINE]]", to: '[[ON_LINE]]' },
  { name: 'blocks are one address shorter', file: 'find-address.ts', from: 'at <= one.last', to: 'at < one.last' },
  { name: 'nothing begins after a block', file: 'find-address.ts', from: 'at: last + 1n', to: 'at: last' },
  { name: 'port lists are negated', file: 'solve-attribute.ts', from: '&& !excluded.has(port)', to: '&& excluded.size >= 0' },
  { name: 'methods ignore negative lists', file: 'solve-attribute.ts', from: '&& !negative.some((one) => test(one, method))', to: '' },
  { name: 'a guess ignores negative lists', file: 'find-string.ts', from: ' && !negative.some(matches)', to: '' },
  { name: 'a guess ignores other positive lists', file: 'find-string.ts', from: 'lists.every(matches) && ', to: '' },
  {
    name: 'headers have one value',
    file: 'solve-attribute.ts',
    from: 'for (const [index, one] of positive.entries()) {',
    to: "if (positive.length > 1) return { kind: 'none', core: positive };\n  for (const [index, one] of positive.entries()) {",
  },
  { name: 'nested claims never clash', file: 'candidate.ts', from: 'if (inner !== undefined) return [outer, inner];', to: '' },
  {
    name: 'a principal fails by its subject only',
    file: 'constraint.ts',
    from: ', [table.create(claimKey(slot, ISS), [matched.iss], false)]]',
    to: ']',
  },
  {
    name: 'a clause fails by its negative list only',
    file: 'constraint.ts',
    from: '...(anyOf === undefined ? [] : [[table.create(key, anyOf, false)]]),',
    to: '',
  },
  { name: 'a clause never fails by its negative list', file: 'constraint.ts', from: '[[table.create(key, noneOf, true)]]', to: '[]' },
  {
    name: 'only the first entry of from counts',
    file: 'rule-ways.ts',
    from: 'for (const from of rule.from) {',
    to: 'for (const from of rule.from.slice(0, 1)) {',
  },
  { name: 'removed DENY rules are not looked at', file: 'compare-programs.ts', from: "yield { reason: 'rule', way };", to: '' },
  {
    name: 'removed CUSTOM rules are not looked at',
    file: 'compare-programs.ts',
    from: "yield { reason: 'server', server: serverKey(step), way };",
    to: '',
  },
  {
    name: 'tokens are not looked at',
    file: 'token-cases.ts',
    from: '...[...groups.values()].map(',
    to: '...[...groups.values()].slice(1).map(',
  },
  {
    name: 'a negative list of one source counts for the whole rule',
    file: 'search.ts',
    from: 'new Set<Assumption>(guard === undefined ? [] : [guard])',
    to: 'new Set<Assumption>()',
  },
  {
    name: 'the negative list of principals of a source is not its own',
    file: 'search.ts',
    from: '[...addedBy(way, node), ...way.guards]',
    to: 'addedBy(way, node)',
  },
  { name: 'paths match into the query', file: 'pattern.ts', from: 'code !== QUERY && has(code)', to: 'has(code)' },
  { name: 'a path with a query matches nothing', file: 'pattern.ts', from: '[inPath, [...inPath, ...QUERY_AND_REST]]', to: '[inPath]' },
  {
    name: 'only methods of HTTP/1.1 exist',
    file: 'solve-attribute.ts',
    from: "return value === undefined ? solveText('method', { positive, negative }, context) :",
    to: "return value === undefined ? { kind: 'none', core: [...positive, ...negative] } :",
  },
  { name: 'JWT rules of both sides do the same', file: 'token-effects.ts', from: 'isEqual ||', to: 'one.slot === other.slot ||' },
  {
    name: 'rules are equal through different views',
    file: 'compare-programs.ts',
    from: 'isClaimShared && [...this.#situation.read].every((name) => one.keyOf(name) === other.keyOf(name))',
    to: 'isClaimShared',
  },
  {
    name: 'claims are split at spaces on both sides',
    file: 'token-cases.ts',
    from: '...[...apart].map(',
    to: '...[...apart].slice(1).map(',
  },
  {
    name: 'tokens set no headers',
    file: 'token-effects.ts',
    from: 'outputs.has(name) ? `set ${id} ${name}` : undefined',
    to: 'undefined',
  },
  { name: 'headers with tokens stay', file: 'token-effects.ts', from: 'taken.has(name) ? undefined : sentKey(name)', to: 'sentKey(name)' },
  {
    name: 'headers can hold every claim',
    file: 'token-effects.ts',
    from: 'claims: refusing(provider).filter((one) => !known.has(JSON.stringify(one))),',
    to: 'claims: [],',
  },
  {
    name: 'a request can lose every pseudo header',
    file: 'token-effects.ts',
    from: 'byPlace: !canForward(provider) || placesOf(provider).some((place) => losesPseudoHeader(provider, place)),',
    to: 'byPlace: false,',
  },
  { name: 'siblings are skipped', file: 'search.ts', from: 'if (own.size === 0 && found.isProven) return found;', to: 'return found;' },
];

/** Seeds of the runs for one fault, until one notices it: one seed alone may not have the pair of programs that a fault needs. */
const SEEDS: readonly number[] = [1, 2, 3];

const [pairs = 20_000, from = 0] = process.argv.slice(2).map(Number);
const root = new URL('../../', import.meta.url).pathname;
const copy = mkdtempSync(join(tmpdir(), 'prove-faults-'));
let unnoticed = 0;
try {
  for (const directory of ['src', 'test/support', 'test/prove']) cpSync(join(root, directory), join(copy, directory), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json']) cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const fault of FAULTS.slice(from)) unnoticed += isNoticed(fault) ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
process.stdout.write(`${FAULTS.length - from - unnoticed} of ${FAULTS.length - from} faults noticed\n`);
process.exitCode = unnoticed === 0 ? 0 : 1;

function isNoticed({ name, file, from, to }: Fault): boolean {
  const path = join(copy, 'src/analysis', file);
  const original = readFileSync(path, 'utf8');
  if (!original.includes(from)) throw new Error(`the fault "${name}" does not apply to ${file}`);
  writeFileSync(
    path,
    original.replace(from, () => to),
  );
  const found = SEEDS.find((seed) => {
    const { status } = spawnSync(process.execPath, [join(copy, 'test/prove/run.ts'), `${pairs}`, '0', `${seed}`], { timeout: 300_000 });
    return status !== 0;
  });
  writeFileSync(path, original);
  process.stdout.write(`${found === undefined ? 'NOT NOTICED' : 'noticed'}: ${name}\n`);
  return found !== undefined;
}
