/*
 * Which files the check of limits reads: those of the agent, and what the agent runs of the packages that keep state.
 */
import { posix } from 'node:path';
import { readImports } from '../dependencies/read-imports.ts';

const AGENT = /^src\/agent\//;
/** Packages that keep something between two requests. The others that the agent imports are functions of their input. */
const WITH_STATE = /^src\/(?:filters|fs-watch|jwt|telemetry)\//;
const ENTRY = 'src/main/agent.ts';

/** Paths in the order of `files`. @param files text by path from the project's root */
export function filesOfAgent(files: ReadonlyMap<string, string>): readonly string[] {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const source = files.get(path);
    if (source === undefined || reached.has(path)) return;
    reached.add(path);
    for (const { specifier, isType } of readImports(path, source)) {
      if (!isType && specifier?.startsWith('.') === true) visit(posix.join(posix.dirname(path), specifier));
    }
  };
  visit(ENTRY);
  return [...files.keys()].filter((path) => AGENT.test(path) || (WITH_STATE.test(path) && reached.has(path)));
}
