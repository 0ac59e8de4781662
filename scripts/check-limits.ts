/*
 * Part of `npm run check`: in the agent, and in what it runs of other packages, nothing grows, waits or repeats without a limit declared in `src/limits`.
 */
import { join } from 'node:path';
import { readSources } from './dependencies/read-sources.ts';
import { findUnbounded } from './limits/find-unbounded.ts';

const findings = findUnbounded(readSources(join(import.meta.dirname, '..')));
for (const { path, line, message } of findings) process.stdout.write(`${path}:${line}: ${message}\n`);
process.exitCode = findings.length === 0 ? 0 : 1;
