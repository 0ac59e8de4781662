/*
 * Many requests from a file: an HTTP archive, or a JSON object a line. In: its name. Out: requests with their tokens still to
 * be signed. Called by the command `diff`.
 */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import type { Json } from '../../policy/facts.ts';
import { type CommandContext, CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA } from '../exit-codes.ts';
import { parseHar, parseJsonText } from './har.ts';
import { withoutMark } from './read-manifests.ts';
import { readRequired } from './request-flags.ts';
import { type RequestSpec, requestSchema } from './request-spec.ts';
import { splitUrl } from './split-url.ts';
import { systemReason } from './system-reason.ts';

export interface CorpusEntry {
  readonly spec: RequestSpec;
  /** A literal token. */
  readonly token?: string | undefined;
  /** Claims of a token to be signed for the run; not together with `token`. */
  readonly claims?: Readonly<Record<string, Json>> | undefined;
}

const lineSchema = z
  .strictObject({
    ...requestSchema.shape,
    url: z.string().optional(),
    token: z.string().optional(),
    claims: z.record(z.string(), z.json()).optional(),
  })
  .refine(({ token, claims }) => token === undefined || claims === undefined, 'has both token and claims');

/**
 * The requests in `file`, in order; lines are read as they are asked for, an HTTP archive as a whole.
 * @throws CommandFault that names file and line
 */
export async function* readCorpus(file: string, context: CommandContext): AsyncGenerator<CorpusEntry> {
  const lines = await openLines(file, context);
  let number = 0;
  let archive: string[] | undefined;
  for await (const text of lines) {
    number += 1;
    const line = number === 1 ? withoutMark(text) : text;
    if (number === 1 && startsArchive(line)) archive = [];
    if (archive !== undefined) archive.push(line);
    else if (line.trim() !== '') yield parseLine(line, `${file}:${number}`);
  }
  if (archive !== undefined) for (const spec of parseHar(archive.join('\n'), file)) yield { spec };
}

async function openLines(file: string, context: CommandContext): Promise<AsyncIterable<string> | Iterable<string>> {
  if (file === '-') return (await readRequired(file, context)).split('\n');
  try {
    return (await open(resolve(context.cwd, file))).readLines();
  } catch (error) {
    throw new CommandFault(EXIT_BAD_DATA, `${file}: ${systemReason(error)}`, { cause: error });
  }
}

/** Each line of the other form is a whole object, with members of its own. */
function startsArchive(line: string): boolean {
  return /^\s*\{\s*("log"|$)/.test(line);
}

function parseLine(line: string, place: string): CorpusEntry {
  const result = lineSchema.safeParse(parseJsonText(line, place));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandFault(EXIT_BAD_DATA, `${place}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'no request'}`);
  }
  const { url, token, claims, ...spec } = result.data;
  return { spec: url === undefined ? spec : { ...splitUrl(url), ...spec }, token, claims };
}
