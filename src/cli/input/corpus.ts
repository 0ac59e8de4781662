/*
 * Many requests from a file: an HTTP archive, or a JSON object a line. In: its text. Out: requests with their tokens still to
 * be signed. Called by the command `diff`.
 */
import * as z from 'zod';
import type { Json } from '../../policy/request/facts.ts';
import { CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA } from '../exit-codes.ts';
import { parseHar, parseJsonText } from './har.ts';
import { type RequestSpec, requestSchema } from './request-spec.ts';
import { splitUrl } from './split-url.ts';

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

/** The requests in `text`, in order. @throws CommandFault that names file and line */
export function parseCorpus(text: string, file: string): readonly CorpusEntry[] {
  if (isHar(text)) return parseHar(text, file).map((spec) => ({ spec }));
  return text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [parseLine(line, `${file}:${index + 1}`)]));
}

function isHar(text: string): boolean {
  const [first = ''] = text.trimStart().split('\n');
  return /^\{\s*("log"|$)/.test(first.trim());
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
