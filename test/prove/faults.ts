/*
 * `npm run prove:faults [-- PAIRS]`: plants one fault at a time in a copy of the analysis, and expects the comparison with brute force to
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
  { name: 'siblings are skipped', file: 'search.ts', from: 'if (own.length === 0 && found.isProven) return found;', to: 'return found;' },
];

const [pairs = 3000] = process.argv.slice(2).map(Number);
const root = new URL('../../', import.meta.url).pathname;
const copy = mkdtempSync(join(tmpdir(), 'prove-faults-'));
let unnoticed = 0;
try {
  for (const directory of ['src', 'test/support', 'test/prove']) cpSync(join(root, directory), join(copy, directory), { recursive: true });
  for (const file of ['package.json', 'tsconfig.json']) cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  for (const fault of FAULTS) unnoticed += isNoticed(fault) ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true });
}
process.stdout.write(`${FAULTS.length - unnoticed} of ${FAULTS.length} faults noticed\n`);
process.exitCode = unnoticed === 0 ? 0 : 1;

function isNoticed({ name, file, from, to }: Fault): boolean {
  const path = join(copy, 'src/analysis', file);
  const original = readFileSync(path, 'utf8');
  if (!original.includes(from)) throw new Error(`the fault "${name}" does not apply to ${file}`);
  writeFileSync(
    path,
    original.replace(from, () => to),
  );
  const { status } = spawnSync(process.execPath, [join(copy, 'test/prove/run.ts'), String(pairs), '0'], { timeout: 300_000 });
  writeFileSync(path, original);
  process.stdout.write(`${status === 0 ? 'NOT NOTICED' : 'noticed'}: ${name}\n`);
  return status !== 0;
}
