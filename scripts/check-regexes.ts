/*
 * Part of `npm run check`: every regular expression of src is linear, because most of them read text that other people write.
 * Proofs are remembered from run to run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { readSources } from './dependencies/read-sources.ts';
import { type Dynamic, findRegexes, type Regex } from './regexes/find-regexes.ts';
import { superLinear } from './regexes/prove-linear.ts';

const root = join(import.meta.dirname, '..');
const record = join(root, 'node_modules/.cache/check/regexes.json');

/** Keys of the expressions that were proven. */
function lastProven(): ReadonlySet<string> {
  try {
    return new Set(JSON.parse(readFileSync(record, 'utf8')) as readonly string[]);
  } catch {
    // No run has passed yet, or an interrupted one left half a file: prove everything.
    return new Set();
  }
}

/** The value of an exported constant; a message if it has none. */
async function evaluate({ path, line, name }: Dynamic): Promise<Regex | string> {
  const exports = name === undefined ? {} : ((await import(pathToFileURL(join(root, path)).href)) as Readonly<Record<string, unknown>>);
  const value = exports[name ?? ''];
  if (!(value instanceof RegExp)) {
    return `${path}:${line}: an expression that is made at run time cannot be proven: write a literal, an exported constant or a plain scan`;
  }
  return { path, line, source: value.source, flags: value.flags, isRepeated: value.global };
}

const { regexes, dynamic } = findRegexes(readSources(root));
const evaluated = await Promise.all(dynamic.map(evaluate));
const messages = evaluated.filter((one) => typeof one === 'string');
const before = lastProven();
const proven: string[] = [];
for (const regex of [...regexes, ...evaluated.filter((one) => typeof one !== 'string')]) {
  const key = JSON.stringify([regex.source, regex.flags, regex.isRepeated]);
  const reason = before.has(key) ? undefined : superLinear(regex);
  if (reason === undefined) proven.push(key);
  else messages.push(`${regex.path}:${regex.line}: /${regex.source}/${regex.flags}: ${reason}`);
}
mkdirSync(dirname(record), { recursive: true });
writeFileSync(record, JSON.stringify([...new Set(proven)]));
for (const message of messages) process.stdout.write(`${message}\n`);
process.exitCode = messages.length === 0 ? 0 : 1;
