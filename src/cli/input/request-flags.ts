/*
 * One request by flags, in curl's manner, or from a file. In: the options of `explain`. Out: what the codec makes of the
 * request. Only this file knows how the flags go together.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { isIpLiteral } from '../../policy/match/ip-block.ts';
import { type CommandContext, CommandFault } from '../command-context.ts';
import { EXIT_BAD_DATA, EXIT_USAGE } from '../exit-codes.ts';
import { addCurlOptions, type CurlOptions, curlRequest, hasCurlOptions } from './curl-flags.ts';
import { parseHar } from './har.ts';
import { readInput } from './read-manifests.ts';
import { type ConnectionSpec, headerPairs, isPeer, type ReadRequest, type RequestSpec, readHttpText, readSpec } from './request-spec.ts';
import { splitUrl } from './split-url.ts';
import { systemReason } from './system-reason.ts';

/** The options that {@link addRequestOptions} adds, as commander hands them over. */
export interface RequestOptions extends CurlOptions {
  readonly url?: string;
  readonly method?: string;
  readonly header: readonly (readonly [string, string])[];
  readonly request?: string;
  readonly har?: string;
  readonly entry: number;
  readonly token?: string;
  readonly sourceIp?: string;
  readonly destinationIp?: string;
  readonly peer?: string;
  readonly port?: number;
}

/** Adds the options that describe a request. */
export function addRequestOptions(command: Command): Command {
  command
    .option('--url <url>', 'URL or path of the request; its host becomes the Host header (default: /)')
    .option('-X, --method <method>', 'method of the request (default: GET, with -d POST)')
    .addOption(new Option('-H, --header <line>', 'header as `Name: value`; may be repeated').argParser(collectHeader).default([], 'none'));
  return addCurlOptions(command)
    .option('--request <file>', 'the request as raw HTTP/1.1 text in a file; - for standard input')
    .option('--har <file>', 'the request from an HTTP archive')
    .addOption(new Option('--entry <n>', 'number of the request in the HTTP archive, from 0').argParser(parseCount).default(0, '0'))
    .option('--token <file|text>', 'token to send as `Authorization: Bearer`')
    .addOption(new Option('--source-ip <address>', "the client's address (default: 192.0.2.1)").argParser(parseAddress))
    .addOption(new Option('--destination-ip <address>', 'the address of the workload').argParser(parseAddress))
    .addOption(
      new Option(
        '--peer <spiffe>',
        "identity in the client's certificate, e.g. spiffe://cluster.local/ns/foo/sa/sleep (default: no mTLS)",
      ).argParser(parsePeer),
    )
    .addOption(
      new Option('--port <n>', "port of the pod (default: where the URL's port leads through a Service, the URL's port, or 80)").argParser(
        parsePort,
      ),
    );
}

/** What the request is addressed to, for who knows Services. */
export type PodPort = (host: string, port: number) => number | undefined;

export interface RequestDefaults {
  /** For a request that names no host. */
  readonly host: string;
  /** The pod's port behind a port that a URL names. */
  readonly podPort: PodPort;
}

/** The request that `options` describe. @throws CommandFault 64 when they contradict each other, 65 when a file is no good */
export async function readRequestOptions(
  options: RequestOptions,
  defaults: RequestDefaults,
  context: CommandContext,
): Promise<ReadRequest> {
  const isCurl = options.url !== undefined || options.method !== undefined || hasCurlOptions(options);
  const ways = [isCurl || undefined, options.request, options.har].filter((way) => way !== undefined);
  if (ways.length > 1)
    throw new CommandFault(EXIT_USAGE, 'give the request once: by --url and the flags of curl, by --request or by --har');
  const extra = [...options.header, ...(options.token === undefined ? [] : [await tokenHeader(options.token, context)])];
  const { sourceIp, destinationIp, peer, port } = options;
  const connection: ConnectionSpec = { sourceIp, destinationIp, peer, port };
  if (options.request !== undefined) return readHttpText(await readRequired(options.request, context), connection, extra);
  const spec = options.har === undefined ? curlSpec(options, extra) : await harEntry(options.har, options.entry, context);
  const headers = [...headerPairs(spec.headers), ...extra];
  const dialled = spec.port === undefined ? undefined : (defaults.podPort((spec.host ?? '').replace(/:\d+$/, ''), spec.port) ?? spec.port);
  return readSpec({ ...connection, ...spec, port: port ?? dialled, headers }, defaults.host);
}

/** Headers given by -H stand in the place of those that a flag would make, as with curl. */
function curlSpec(options: RequestOptions, given: readonly (readonly [string, string])[]): RequestSpec {
  const { host, path, port } = splitUrl(options.url ?? '/');
  const made = curlRequest(path, options);
  const isGiven = (name: string): boolean => given.some(([other]) => other.toLowerCase() === name.toLowerCase());
  return {
    ...made,
    headers: headerPairs(made.headers).filter(([name]) => !isGiven(name)),
    ...(options.method === undefined ? {} : { method: options.method }),
    ...(host === undefined || isGiven('host') ? {} : { host }),
    ...(port === undefined ? {} : { port }),
  };
}

async function harEntry(file: string, entry: number, context: CommandContext): Promise<RequestSpec> {
  const requests = parseHar(await readRequired(file, context), file);
  const spec = requests[entry];
  if (spec === undefined) throw new CommandFault(EXIT_BAD_DATA, `${file}: no entry ${entry}; there are ${requests.length}`);
  return spec;
}

/** Text of a file that the command line names. @throws CommandFault that names the file */
export async function readRequired(file: string, context: CommandContext): Promise<string> {
  try {
    return await readInput(file, context);
  } catch (error) {
    throw new CommandFault(EXIT_BAD_DATA, `${file}: ${systemReason(error)}`, { cause: error });
  }
}

async function tokenHeader(given: string, context: CommandContext): Promise<readonly [string, string]> {
  let text = given;
  try {
    text = await readInput(given.replace(/^@/, ''), context);
  } catch {
    // Not a file: then it is the token itself, unless it was called a file.
    if (given.startsWith('@') || !given.includes('.')) {
      throw new CommandFault(EXIT_BAD_DATA, `--token: ${given.slice(0, 80)} is neither a file nor a token`);
    }
  }
  return ['Authorization', `Bearer ${text.trim()}`];
}

function collectHeader(line: string, before: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  const colon = line.indexOf(':', 1);
  if (colon === -1) throw new InvalidArgumentError('a header is written `Name: value`.');
  return [...before, [line.slice(0, colon), line.slice(colon + 1).trim()]];
}

function parseAddress(text: string): string {
  if (!isIpLiteral(text)) throw new InvalidArgumentError('an IP address is wanted.');
  return text;
}

function parsePeer(text: string): string {
  if (!isPeer(text)) throw new InvalidArgumentError('an identity is wanted: spiffe://cluster.local/ns/foo/sa/sleep.');
  return text;
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('a number from 0 is wanted.');
  return Number(text);
}

function parsePort(text: string): number {
  const port = parseCount(text);
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('a port is 1 to 65535.');
  return port;
}
