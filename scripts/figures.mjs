/*
 * `node scripts/figures.mjs [CHECKOUT]`: figures of a checkout of this project (default: this one): packages, files, lines,
 * functions above 60 lines, exports without a doc comment, tests per source line, banned phrases per 1,000 comment lines,
 * size of dist/agent.mjs. The checkout needs no scripts; for the size it needs node_modules.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';
import { exportsOf } from './docstrings/find-undocumented.ts';
import { findBanned } from './prose/find-banned.ts';

const root = resolve(process.argv[2] ?? join(import.meta.dirname, '..'));
/** The short list by which the dialect was first measured. */
const FIRST_MARKERS =
  /^(told|tell|tells|telling|nobody|somebody|whoever|mend|mends|mended|mending|anew|hardly|so many|is none|passed over|made up)$/i;
const LONG_FUNCTION = 60;

/** @param {string} directory @returns {Map<string, string>} */
function sources(directory) {
  const names = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' });
  const found = names.filter((name) => /\.[cm]?ts$/.test(name)).toSorted();
  return new Map(found.map((name) => [`${directory}/${name}`, readFileSync(join(root, directory, name), 'utf8')]));
}

/** @param {string} text */
const linesOf = (text) => text.split('\n').length - 1;

/** @param {readonly number[]} sorted @param {number} share */
const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

/**
 * Functions with more than 60 lines of code, without blank lines and comments, as `path:line name lines`.
 * @param {string} path @param {string} source @returns {string[]}
 */
function longFunctions(path, source) {
  const { program, comments } = parseSync(path, source);
  const isComment = new Uint8Array(source.length);
  for (const { start, end } of comments) isComment.fill(1, start, end);
  /** @type {string[]} */
  const found = [];
  /** @param {any} node @param {string} name */
  const visit = (node, name) => {
    if (Array.isArray(node)) {
      for (const item of node) visit(item, name);
      return;
    }
    if (typeof node !== 'object' || node === null || typeof node.type !== 'string') return;
    const own = node.id?.name ?? node.key?.name ?? name;
    if (/Function/.test(node.type) && node.body?.type === 'BlockStatement') {
      const code = source
        .slice(node.start, node.end)
        .split('')
        .map((char, at) => (isComment[node.start + at] === 1 && char !== '\n' ? ' ' : char));
      const lines = code
        .join('')
        .split('\n')
        .filter((line) => line.trim() !== '').length;
      if (lines > LONG_FUNCTION) found.push(`${path}:${linesOf(source.slice(0, node.start)) + 1} ${own} ${lines}`);
    }
    for (const value of Object.values(node)) if (typeof value === 'object') visit(value, own);
  };
  visit(program, '');
  return found;
}

/** Size in KiB of the agent's file, built into a temporary directory. */
function agentSize() {
  const esbuild = join(root, 'node_modules/.bin/esbuild');
  if (!existsSync(esbuild)) return undefined;
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-figures-'));
  const file = join(directory, 'agent.mjs');
  const options = ['--bundle', '--platform=node', '--format=esm', '--target=node24', '--minify-syntax', '--legal-comments=none'];
  const apart = ['--external:*grpc-library.ts', '--external:*/feed-source.ts', '--external:*/traces.ts'];
  execFileSync(esbuild, ['src/main/agent.ts', `--outfile=${file}`, ...options, ...apart, '--log-level=error'], {
    cwd: root,
  });
  const { size } = statSync(file);
  rmSync(directory, { recursive: true });
  return size / 1024;
}

const src = sources('src');
const tests = sources('test');
const sizes = [...src.values()].map(linesOf).toSorted((one, other) => one - other);
const sum = (/** @type {Map<string, string>} */ files) => [...files.values()].reduce((total, text) => total + linesOf(text), 0);
const packages = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
const long = [...src].flatMap(([path, source]) => longFunctions(path, source));
const exported = [...src].flatMap(([path, source]) => exportsOf(path, source));
const undocumented = exported.filter(({ isDocumented }) => !isDocumented);
const prose = [...src, ...tests, ...sources('scripts')]
  .filter(([path]) => path !== 'scripts/prose/banned-phrases.ts')
  .map(([path, source]) => findBanned(path, source));
const commentLines = prose.reduce((total, report) => total + report.commentLines, 0);
const phrases = prose.flatMap((report) => report.findings);
const firstMarkers = phrases.filter(({ phrase }) => FIRST_MARKERS.test(phrase));
const agent = agentSize();
const perThousand = (/** @type {readonly unknown[]} */ found) =>
  `${((found.length * 1000) / commentLines).toFixed(1)} per 1,000 comment lines`;

process.stdout.write(
  [
    `checkout                 ${root}`,
    `packages                 ${packages.length}, with a README: ${packages.filter(({ name }) => existsSync(join(root, 'src', name, 'README.md'))).length}`,
    `source files             ${src.size}, lines: ${sum(src)}`,
    `lines of a source file   median ${quantile(sizes, 0.5)}, p95 ${quantile(sizes, 0.95)}, max ${sizes.at(-1)}`,
    `functions over ${LONG_FUNCTION} lines  ${long.length}${long.map((entry) => `\n                           ${entry}`).join('')}`,
    `exports without doc      ${undocumented.length} of ${exported.length}`,
    `test : source lines      ${(sum(tests) / sum(src)).toFixed(2)} (${tests.size} test files)`,
    `banned phrases           ${phrases.length}, ${perThousand(phrases)} (src, test, scripts)`,
    `of these, first markers  ${firstMarkers.length}, ${perThousand(firstMarkers)}`,
    `agent.mjs                ${agent === undefined ? 'not built: no node_modules' : `${agent.toFixed(0)} KiB`}`,
    '',
  ].join('\n'),
);
