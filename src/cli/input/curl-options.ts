/*
 * Accepts the flags of curl, so that a failed curl command can be pasted. Flags that only concern curl itself (output, retries,
 * certificates of the server) change nothing and are noted; flags that would make a request other than HTTP/1.1 are rejected by name.
 */
import { type Command, Option } from 'commander';
import { upTo } from '../../text.ts';
import { CommandError } from '../context/command-context.ts';
import { EXIT_USAGE } from '../context/exit-codes.ts';
import type { RequestSpec } from './request-spec.ts';

/** The options that {@link addCurlOptions} adds, as commander returns them. */
export interface CurlOptions {
  readonly user?: string;
  readonly cookie?: string;
  readonly userAgent?: string;
  readonly referer?: string;
  readonly head?: boolean;
  readonly get?: boolean;
  readonly data: readonly string[];
  readonly json?: string;
  readonly oauth2Bearer?: string;
  readonly compressed?: boolean;
  readonly urlQuery: readonly string[];
  /** Flags that change nothing, as in the help of curl. */
  readonly ignored?: readonly string[];
}

const FORM = 'application/x-www-form-urlencoded';
/** Accepted, because they do not change the request. */
const IGNORED: readonly string[] = [
  '-s, --silent',
  '-S, --show-error',
  '-v, --verbose',
  '-i, --include',
  '--show-headers',
  '-k, --insecure',
  '-L, --location',
  '--location-trusted',
  '-f, --fail',
  '--fail-with-body',
  '--fail-early',
  '-g, --globoff',
  '-N, --no-buffer',
  '--netrc',
  '-Z, --parallel',
  '-4, --ipv4',
  '-6, --ipv6',
  '-q, --disable',
  '-#, --progress-bar',
  '-O, --remote-name',
  '-J, --remote-header-name',
  '-R, --remote-time',
  '--no-progress-meter',
  '--path-as-is',
  '--http1.1',
  '--compressed-ssh',
  '--tcp-nodelay',
  '--no-keepalive',
  '--no-sessionid',
  '--tcp-fastopen',
  '--trace-time',
  '--raw',
  '--ssl-reqd',
  '--tlsv1',
  '--tlsv1.0',
  '--tlsv1.1',
  '--tlsv1.2',
  '--tlsv1.3',
  '--anyauth',
  '--basic',
  '--retry-all-errors',
  '--retry-connrefused',
  '--styled-output',
  '--create-dirs',
  '--noproxy <hosts>',
  '-x, --proxy <url>',
  '-U, --proxy-user <name:password>',
  '--proxy-header <line>',
  '--resolve <entry>',
  '--connect-to <entry>',
  '--dns-servers <addresses>',
  '--doh-url <url>',
  '--interface <name>',
  '--local-port <range>',
  '--unix-socket <path>',
  '--cacert <file>',
  '--capath <dir>',
  '--ciphers <list>',
  '--pinnedpubkey <hashes>',
  '-c, --cookie-jar <file>',
  '-D, --dump-header <file>',
  '-m, --max-time <seconds>',
  '--connect-timeout <seconds>',
  '--expect100-timeout <seconds>',
  '--keepalive-time <seconds>',
  '--happy-eyeballs-timeout-ms <ms>',
  '--limit-rate <speed>',
  '--max-filesize <bytes>',
  '--max-redirs <n>',
  '--rate <n>',
  '--retry <n>',
  '--retry-delay <seconds>',
  '--retry-max-time <seconds>',
  '-y, --speed-time <seconds>',
  '-Y, --speed-limit <speed>',
  '--stderr <file>',
  '--trace <file>',
  '--trace-ascii <file>',
  '--tls-max <version>',
  '-w, --write-out <format>',
];
const UNSUPPORTED: readonly (readonly [flags: string, reason: string])[] = [
  ['--http2', 'requests are evaluated as HTTP/1.1: omit this flag'],
  ['--http2-prior-knowledge', 'requests are evaluated as HTTP/1.1: omit this flag'],
  ['--http3', 'requests are evaluated as HTTP/1.1: omit this flag'],
  ['-0, --http1.0', 'agents reject HTTP/1.0 with 426: omit this flag'],
  ['-F, --form <part>', 'give the body with -d and its type with -H: policies see no more of it'],
  ['--form-string <part>', 'give the body with -d and its type with -H: policies see no more of it'],
  ['-T, --upload-file <file>', 'use -X PUT: policies do not see the body'],
  ['-r, --range <range>', "use -H 'Range: bytes=…'"],
  ['-C, --continue-at <offset>', "use -H 'Range: bytes=…'"],
  ['-z, --time-cond <time>', "use -H 'If-Modified-Since: …'"],
  ['-E, --cert <file>', 'give the identity in the certificate as --peer spiffe://…'],
  ['--key <file>', 'give the identity in the certificate as --peer spiffe://…'],
  ['--digest', "use -H 'Authorization: …': the value depends on an answer of the server"],
  ['--negotiate', "use -H 'Authorization: …': the value depends on an answer of the server"],
  ['--ntlm', "use -H 'Authorization: …': the value depends on an answer of the server"],
  ['--aws-sigv4 <provider>', "use -H 'Authorization: …'"],
  ['--haproxy-protocol', 'give the address of the client as --source-ip'],
  ['--next', 'one request is evaluated at a time: run the command once for each'],
];

/** What curl asks for with --compressed. */
const CODINGS = 'deflate, gzip, br, zstd';

/** Adds the flags to `command`. Those that are ignored or rejected are hidden from its help. */
export function addCurlOptions(command: Command): Command {
  command
    .addOption(
      new Option('-d, --data <text>', 'body of the request; makes it a POST; may be repeated').argParser(append).default([], 'none'),
    )
    .addOption(hidden('--data-raw <text>'))
    .addOption(hidden('--data-binary <text>'))
    .addOption(hidden('--data-urlencode <text>'))
    .option('--json <text>', 'body of the request, with the headers for JSON')
    .option('-G, --get', 'append -d to the query')
    .option('-I, --head', 'use the method HEAD')
    .option('-u, --user <name:password>', 'credentials to send as `Authorization: Basic`')
    .option('-b, --cookie <pairs>', 'cookies, as `a=b; c=d`')
    .option('-A, --user-agent <text>', 'value of User-Agent')
    .option('-e, --referer <url>', 'value of Referer');
  command
    .addOption(hidden('--compressed'))
    .addOption(hidden('--oauth2-bearer <token>'))
    .addOption(hidden('--url-query <data>').argParser(append).default([]));
  for (const flags of IGNORED) addIgnored(command, flags);
  for (const [flags, reason] of UNSUPPORTED) command.addOption(unsupported(flags, reason));
  // All kinds of data are collected in one array, in the order of the command line.
  for (const name of ['data-raw', 'data-binary']) command.on(`option:${name}`, (text: string) => addData(command, text));
  command.on('option:data-urlencode', (text: string) => addData(command, encodedData(text)));
  return command;
}

function addIgnored(command: Command, flags: string): void {
  const option = hidden(flags);
  command.addOption(option);
  command.on(`option:${option.name()}`, () => {
    const before = (command.getOptionValue('ignored') as readonly string[] | undefined) ?? [];
    if (!before.includes(`--${option.name()}`)) command.setOptionValue('ignored', [...before, `--${option.name()}`]);
  });
}

/** What the user should know about the flags. */
export function curlNotes({ ignored = [] }: CurlOptions): readonly string[] {
  return ignored.length === 0 ? [] : [`flags of curl that do not change the decision: ${ignored.join(', ')}`];
}

function addData(command: Command, text: string): void {
  command.setOptionValue('data', [...(command.getOptionValue('data') as readonly string[]), text]);
}

/** `name=content` with the content percent-encoded, as curl sends it; without a name `=content` or `content`. */
function encodedData(text: string): string {
  const equals = text.indexOf('=');
  const content = encodeURIComponent(text.slice(equals + 1).toWellFormed()).replaceAll(/[!'()*]/g, percentEncoded);
  return equals > 0 ? `${text.slice(0, equals)}=${content}` : content;
}

function percentEncoded(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function hidden(flags: string): Option {
  return new Option(flags).hideHelp();
}

function unsupported(flags: string, reason: string): Option {
  const reject = (): never => {
    throw new CommandError(EXIT_USAGE, `${upTo(flags, ' <')}: ${reason}`);
  };
  return new Option(flags).argParser(reject).preset('').hideHelp();
}

function append(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** Whether any of the flags was given. */
export function hasCurlOptions({ data, urlQuery, ...flags }: CurlOptions): boolean {
  const { user, cookie, userAgent, referer, head, get, json, oauth2Bearer, compressed } = flags;
  return (
    data.length + urlQuery.length > 0 ||
    [user, cookie, userAgent, referer, head, get, json, oauth2Bearer, compressed].some((value) => value !== undefined)
  );
}

/** The request to `path` that curl would send with these flags; repeated data is joined into one body. */
export function curlRequest(path: string, options: CurlOptions): RequestSpec {
  const { head, get, data, json, urlQuery } = options;
  const query = [...(get === true ? data : []), ...urlQuery.map((one) => (one.startsWith('+') ? one.slice(1) : encodedData(one)))].join(
    '&',
  );
  const text = json ?? data.join('&');
  const hasBody = json !== undefined || (data.length > 0 && get !== true);
  const target = query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`;
  return {
    path: target,
    method: head === true ? 'HEAD' : hasBody ? 'POST' : 'GET',
    headers: [...valueHeaders(options), ...(hasBody ? typeHeaders(json !== undefined) : [])],
    ...(hasBody ? { body: text } : {}),
  };
}

function valueHeaders({ user, cookie, userAgent, referer, oauth2Bearer, compressed }: CurlOptions): readonly (readonly [string, string])[] {
  const pair = (name: string, value: string | undefined): readonly (readonly [string, string])[] =>
    value === undefined ? [] : [[name, value]];
  return [
    ...pair('Authorization', user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`),
    ...pair('Authorization', oauth2Bearer === undefined ? undefined : `Bearer ${oauth2Bearer}`),
    ...pair('Accept-Encoding', compressed === true ? CODINGS : undefined),
    ...pair('User-Agent', userAgent),
    ...pair('Referer', referer),
    ...pair('Cookie', cookie),
  ];
}

function typeHeaders(isJson: boolean): readonly (readonly [string, string])[] {
  return isJson
    ? [
        ['Content-Type', 'application/json'],
        ['Accept', 'application/json'],
      ]
    : [['Content-Type', FORM]];
}
