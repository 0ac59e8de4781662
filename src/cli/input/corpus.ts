/*
 * Reads many requests from one file for `sallyport diff`: an HTTP archive (HAR), one JSON object per line, or an agent's output with its
 * access log.
 */
import * as z from 'zod';
import type { Json } from '../../policy/facts.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { type AccessLine, isAgentLine, readAccessLine } from './access-log-line.ts';
import { parseHar } from './har.ts';
import { openLines, parseJson, requireInput, withoutByteOrderMark } from './read-file.ts';
import { type RequestSpec, requestSchema } from './request-spec.ts';
import { splitUrl } from './split-url.ts';

/** One request, and the token it carries. */
export interface CorpusEntry {
  readonly spec: RequestSpec;
  /** The request is a line of an access log. */
  readonly line?: AccessLine;
  /** A literal token; absent: none. */
  readonly token?: string | undefined;
  /** Claims of a token that the caller signs; never together with `token`. */
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
 * The requests in `file`, in order. JSON lines are read as they are consumed, an HTTP archive as a whole.
 * @throws CommandError that names file and line
 */
export async function* readCorpus(file: string, context: CommandContext): AsyncGenerator<CorpusEntry> {
  if (file === '-') return yield* entriesOf((await requireInput(file, context)).split('\n'), file);
  const handle = await openLines(file, context);
  try {
    yield* entriesOf(handle.readLines(), file);
  } finally {
    // A line that is not a request ends the iteration before the end of the file.
    await handle.close();
  }
}

async function* entriesOf(lines: AsyncIterable<string> | Iterable<string>, file: string): AsyncGenerator<CorpusEntry, void> {
  let number = 0;
  let archive: string[] | undefined;
  for await (const text of lines) {
    number += 1;
    const line = number === 1 ? withoutByteOrderMark(text) : text;
    if (number === 1 && startsArchive(line)) archive = [];
    if (archive !== undefined) archive.push(line);
    else if (line.trim() !== '') {
      const entry = parseLine(line, `${file}:${number}`);
      if (entry !== undefined) yield entry;
    }
  }
  if (archive !== undefined) for (const spec of parseHar(archive.join('\n'), file)) yield { spec };
}

/** Distinguishes an archive from JSON lines, of which each is a complete object without a member `log`. */
function startsArchive(line: string): boolean {
  return /^\s*\{\s*("log"|$)/.test(line);
}

/** @returns undefined: a line of an agent's output that is not a request */
function parseLine(line: string, place: string): CorpusEntry | undefined {
  const value = parseJson(line, place);
  if (isAgentLine(value)) {
    const logged = readAccessLine(value);
    if (typeof logged === 'string') throw new CommandError(EXIT_BAD_DATA, `${place}: ${logged}`);
    return logged === undefined ? undefined : { spec: logged.spec, line: logged };
  }
  const result = lineSchema.safeParse(value);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandError(EXIT_BAD_DATA, `${place}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a request'}`);
  }
  const { url, token, claims, ...spec } = result.data;
  return { spec: url === undefined ? spec : { ...splitUrl(url), ...spec }, token, claims };
}
