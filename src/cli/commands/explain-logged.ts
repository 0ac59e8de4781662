/*
 * The request of `sallyport explain --request FILE` when the file is an access log: what is known of it, and what its explanation leaves open.
 */
import type { Explanation } from '../../explain/explanation.ts';
import { unknownInputs } from '../../explain/logged-request.ts';
import type { RawRequest } from '../../http/heads.ts';
import { METHODS } from '../../http/methods.ts';
import type { Program } from '../../policy/model/program.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../context/exit-codes.ts';
import { type AccessLine, findAccessLine } from '../input/access-log-line.ts';
import { type LoggedToken, loggedToken } from '../input/logged-token.ts';
import { readInput, requireInput, STDIN_NAME } from '../input/read-file.ts';
import type { RequestDefaults, RequestOptions } from '../input/request-options.ts';

/** The file of --request. */
export interface RequestFile {
  readonly defaults: Pick<RequestDefaults, 'requestText' | 'logged'>;
  /** Absent: the file is a message, or there is no file. */
  readonly line?: AccessLine;
  /** Of the line. */
  readonly token?: LoggedToken;
}

/** Reads the file once: standard input cannot be read again. @throws CommandError when a line cannot be evaluated */
export async function readRequestFile(
  { request, log, entry, token }: RequestOptions,
  program: Program,
  context: CommandContext,
): Promise<RequestFile> {
  if (log !== undefined) {
    const line = await readLog(log, entry, context);
    if (token !== undefined) throw new CommandError(EXIT_USAGE, '--token: give the claims of a logged request with --claims');
    return { defaults: { logged: line.spec }, line, token: loggedToken(line, program) };
  }
  // A method, as with curl; or a file that cannot be read, which is reported when the options are combined.
  const text = request === undefined || METHODS.has(request) ? undefined : await readInput(request, context).catch(() => undefined);
  if (request === undefined || text === undefined) return { defaults: {} };
  const line = findAccessLine(text, entry, request);
  if (line === undefined) return { defaults: { requestText: text } };
  if (token !== undefined) throw new CommandError(EXIT_USAGE, '--token: give the claims of a logged request with --claims');
  return { defaults: { logged: line.spec }, line, token: loggedToken(line, program) };
}

/** The line of --log. @throws CommandError when it is no line of an access log, or cannot be evaluated */
async function readLog(log: string, entry: number, context: CommandContext): Promise<AccessLine> {
  const isStdin = log === '-';
  const line = findAccessLine(isStdin ? await requireInput(log, context) : log, entry, isStdin ? STDIN_NAME : '--log');
  if (line === undefined) throw new CommandError(EXIT_BAD_DATA, '--log: not a line of the access log of an agent, which is a JSON object');
  return line;
}

interface LoggedContext {
  readonly program: Program;
  /** Of the published bundle; undefined: unknown. */
  readonly digest: string | undefined;
  readonly request: RawRequest;
  readonly options: RequestOptions;
}

/** The explanation, for a request of an access log with what the log leaves open, and whether the agent decided otherwise. */
export function explainLogged({ line, token }: RequestFile, context: LoggedContext, explained: Explanation): Explanation {
  if (line === undefined || token === undefined) return explained;
  const caveats = ['the request is from an access log, which has no headers, no query and only issuer and subject of a token'];
  if (context.digest !== undefined && line.digest !== '' && line.digest !== context.digest)
    caveats.push(`another bundle decided the request: ${line.digest}; this is for the one that is published now: ${context.digest}`);
  const missing = missingInputs(token, context);
  if (missing.length > 0) {
    const unknown = `give -H, --claims or --destination-ip: the access log does not have ${missing.join(', ')}`;
    return { ...explained, unknown, caveats: [...caveats, ...explained.caveats] };
  }
  if (explained.verdict.outcome !== line.decision) caveats.push(`the agent decided otherwise when it logged the request: ${line.decision}`);
  return { ...explained, caveats: [...caveats, ...explained.caveats] };
}

/** What is neither in the line nor given by an option. */
function missingInputs({ known, claims }: LoggedToken, { program, request, options }: LoggedContext): readonly string[] {
  const hasAllClaims = options.claims !== undefined;
  return unknownInputs(program, {
    request,
    token: hasAllClaims ? (claims ?? {}) : known,
    headers: new Set(options.header.map(([name]) => name.toLowerCase())),
    hasAllClaims,
    hasDestination: options.destinationIp !== undefined,
  });
}
