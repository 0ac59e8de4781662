/*
 * The request of `sallyport explain`: from curl-like flags, a raw HTTP/1.1 file or an HTTP archive. Only this file knows how the
 * options combine.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { GeneratedClaims, TokenPlace } from '../../explain/generate/generated-request.ts';
import { METHODS } from '../../http/methods.ts';
import { isIpLiteral } from '../../policy/match/ip-block.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../context/exit-codes.ts';
import { integerParser } from './common-options.ts';
import { addCurlOptions, type CurlOptions, curlRequest, hasCurlOptions } from './curl-options.ts';
import { parseHar } from './har.ts';
import { placeToken } from './insert-token.ts';
import { readInput, requireInput } from './read-file.ts';
import { type ConnectionSpec, headerPairs, isPeer, type ReadRequest, type RequestSpec, readHttpText, readSpec } from './request-spec.ts';
import { splitUrl } from './split-url.ts';

/** The options that {@link addRequestOptions} adds, as commander returns them. */
export interface RequestOptions extends CurlOptions {
  readonly url?: string;
  readonly method?: string;
  readonly header: readonly (readonly [string, string])[];
  readonly request?: string;
  readonly log?: string;
  readonly har?: string;
  readonly entry: number;
  readonly token?: string;
  readonly claims?: string;
  readonly sourceIp?: string;
  readonly destinationIp?: string;
  readonly peer?: string;
  readonly port?: number;
}

const MAX_ENTRY = 999_999_999;
const MAX_PORT = 65_535;
const MAX_SHOWN = 80;

/** Adds the options that describe a request. */
export function addRequestOptions(command: Command): Command {
  command
    .option('--url <url>', 'URL or path of the request; its host becomes the Host header (default: /)')
    .option('-X, --method <method>', 'method of the request (default: GET, with -d POST)')
    .addOption(new Option('-H, --header <line>', 'header as `Name: value`; may be repeated').argParser(collectHeader).default([], 'none'));
  return addCurlOptions(command)
    .option(
      '--request <file>',
      'the request as raw HTTP/1.1 text, or as a line of an access log, in a file, - for standard input; or a method, as with curl',
    )
    .option('--log <line>', "the request of a line of an agent's access log; - for standard input")
    .option('--har <file>', 'the request from an HTTP archive')
    .addOption(
      new Option('--entry <n>', 'index of the request in the HTTP archive or the access log, from 0')
        .argParser(integerParser(0, MAX_ENTRY))
        .default(0, '0'),
    )
    .option('--token <file|text>', 'token to send as `Authorization: Bearer`')
    .option(
      '--claims <json>',
      'claims of a token whose signature counts as valid, as JSON or @file, e.g. \'{"iss": "me", "groups": ["admin"]}\'',
    )
    .addOption(new Option('--source-ip <address>', 'address of the client (default: 192.0.2.1)').argParser(parseAddress))
    .addOption(new Option('--destination-ip <address>', 'address of the workload').argParser(parseAddress))
    .addOption(
      new Option(
        '--peer <spiffe>',
        "identity in the client's certificate, e.g. spiffe://cluster.local/ns/foo/sa/sleep (default: no mTLS)",
      ).argParser(parsePeer),
    )
    .addOption(
      new Option(
        '--port <n>',
        'port of the pod (default: the target of the port of the URL, or of port 80, through a Service; else the port in the URL, else the only port of the pod, else 80)',
      ).argParser(integerParser(1, MAX_PORT)),
    );
}

/** Values for what the options leave open. */
export interface RequestDefaults {
  /** Host of a request that names none. */
  readonly host: string;
  /** Sets the port of the pod in a request that does not name it. */
  readonly withPodPort: (read: ReadRequest, spec: Pick<RequestSpec, 'port' | 'dialed'>) => ReadRequest;
  /** Text of the file of --request, when it was read before. */
  readonly requestText?: string;
  /** The request that --request names is a line of an access log. */
  readonly logged?: RequestSpec;
  /** A token for --claims, and where the request has it. */
  readonly claimsToken?: { readonly text: string; readonly place: TokenPlace };
}

/**
 * The request that `options` describe.
 * @throws CommandError with exit code 64 when the options contradict each other, 65 when a file is invalid
 */
export async function readRequestOptions(
  options: RequestOptions,
  defaults: RequestDefaults,
  context: CommandContext,
): Promise<ReadRequest> {
  // curl's --request is the method, ours a file with a request.
  const { request: method, ...others } = options;
  if (method !== undefined && METHODS.has(method)) return readRequestOptions({ ...others, method }, defaults, context);
  const isCurl = options.url !== undefined || options.method !== undefined || hasCurlOptions(options);
  const forms = [isCurl || undefined, options.request, options.log, options.har].filter((form) => form !== undefined);
  if (forms.length > 1)
    throw new CommandError(EXIT_USAGE, 'give the request in one form: as --url and flags of curl, as --request, as --log or as --har');
  const { claimsToken } = defaults;
  const extra = [...options.header, ...(options.token === undefined ? [] : [await tokenHeader(options.token, context)])];
  const { sourceIp, destinationIp, peer, port } = options;
  const connection: ConnectionSpec = { sourceIp, destinationIp, peer, port };
  if (options.request !== undefined && defaults.logged === undefined) {
    const placed = claimsToken === undefined ? {} : placeToken({}, claimsToken.text, claimsToken.place);
    if (placed.path !== undefined)
      throw new CommandError(EXIT_USAGE, '--claims: the JWT rule looks for its token in the query: give the request with --url');
    const text = defaults.requestText ?? (await requireInput(options.request, context));
    return defaults.withPodPort(readHttpText(text, connection, [...extra, ...headerPairs(placed.headers)]), connection);
  }
  const spec =
    defaults.logged ?? (options.har === undefined ? curlSpec(options, extra) : await harEntry(options.har, options.entry, context));
  const headers = [...headerPairs(spec.headers), ...extra];
  const complete: RequestSpec =
    defaults.logged === undefined ? { ...connection, ...spec, port, headers } : { ...spec, ...given(connection), headers };
  const placed = claimsToken === undefined ? complete : placeToken(complete, claimsToken.text, claimsToken.place);
  return defaults.withPodPort(readSpec(placed, defaults.host), placed);
}

/** The members that are given. */
function given(connection: ConnectionSpec): ConnectionSpec {
  return Object.fromEntries(Object.entries(connection).filter(([, value]) => value !== undefined));
}

/** As with curl, a header given with -H replaces the one that another flag would add. */
function curlSpec(options: RequestOptions, given: readonly (readonly [string, string])[]): RequestSpec {
  const { host, path, dialed } = splitUrl(options.url ?? '/');
  const request = curlRequest(path, options);
  const isGiven = (name: string): boolean => given.some(([other]) => other.toLowerCase() === name.toLowerCase());
  return {
    ...request,
    headers: headerPairs(request.headers).filter(([name]) => !isGiven(name)),
    ...(options.method === undefined ? {} : { method: options.method }),
    ...(host === undefined || isGiven('host') ? {} : { host }),
    ...(dialed === undefined ? {} : { dialed }),
  };
}

/** The claims of --claims. @throws CommandError with exit code 64 or 65 */
export async function readClaims(given: string, context: CommandContext): Promise<GeneratedClaims> {
  const text = given.startsWith('@') ? await requireInput(given.slice(1), context) : given;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CommandError(EXIT_USAGE, `--claims: invalid JSON: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new CommandError(EXIT_USAGE, '--claims: expected a JSON object');
  return value as GeneratedClaims;
}

async function harEntry(file: string, entry: number, context: CommandContext): Promise<RequestSpec> {
  const requests = parseHar(await requireInput(file, context), file);
  const spec = requests[entry];
  if (spec === undefined) throw new CommandError(EXIT_BAD_DATA, `${file}: there is no entry ${entry}; the archive has ${requests.length}`);
  return spec;
}

async function tokenHeader(given: string, context: CommandContext): Promise<readonly [string, string]> {
  let text = given;
  try {
    text = await readInput(given.replace(/^@/, ''), context);
  } catch {
    // Not a readable file: then it is the token itself, unless it was marked as a file or cannot be a token.
    if (given.startsWith('@') || !given.includes('.')) {
      throw new CommandError(EXIT_BAD_DATA, `--token: "${given.slice(0, MAX_SHOWN)}" is neither a file nor a token`);
    }
  }
  return ['Authorization', `Bearer ${text.trim()}`];
}

function collectHeader(line: string, before: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const colon = line.indexOf(':', 1);
  if (colon === -1) throw new InvalidArgumentError('Expected a header as `Name: value`.');
  return [...before, [line.slice(0, colon), line.slice(colon + 1).trim()]];
}

function parseAddress(text: string): string {
  if (!isIpLiteral(text)) throw new InvalidArgumentError('Expected an IP address.');
  return text;
}

function parsePeer(text: string): string {
  if (!isPeer(text)) throw new InvalidArgumentError('Expected an identity, e.g. spiffe://cluster.local/ns/foo/sa/sleep.');
  return text;
}
