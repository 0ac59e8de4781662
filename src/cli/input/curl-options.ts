/*
 * Accepts the flags of curl, so that a failed curl command can be pasted. Flags that only concern curl itself (output, retries,
 * certificates) are accepted and ignored; flags that would make a request other than HTTP/1.1 are rejected by name.
 */
import { type Command, Option } from 'commander';
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
}

const FORM = 'application/x-www-form-urlencoded';
/** Accepted, because they do not change the request. */
const IGNORED: readonly string[] = [
  '-s, --silent',
  '-S, --show-error',
  '-v, --verbose',
  '-i, --include',
  '-k, --insecure',
  '-L, --location',
  '-f, --fail',
  '--http1.1',
  '-m, --max-time <seconds>',
  '--connect-timeout <seconds>',
  '-w, --write-out <format>',
];
const UNSUPPORTED: readonly (readonly [flags: string, reason: string])[] = [
  ['--http2', 'requests are evaluated as HTTP/1.1: omit this flag'],
  ['-F, --form <part>', 'give the body with -d and its type with -H: policies see no more of it'],
  ['-x, --proxy <url>', 'nothing is sent: omit this flag, and give headers that the proxy adds with -H'],
  ['--resolve <entry>', 'nothing is sent: the host of --url is sufficient'],
  ['-E, --cert <file>', 'give the identity in the certificate as --peer spiffe://…'],
];

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
  for (const flags of IGNORED) command.addOption(hidden(flags));
  for (const [flags, reason] of UNSUPPORTED) command.addOption(unsupported(flags, reason));
  // All kinds of data are collected in one array, in the order of the command line.
  for (const name of ['data-raw', 'data-binary', 'data-urlencode']) command.on(`option:${name}`, (text: string) => addData(command, text));
  return command;
}

function addData(command: Command, text: string): void {
  command.setOptionValue('data', [...(command.getOptionValue('data') as readonly string[]), text]);
}

function hidden(flags: string): Option {
  return new Option(flags).hideHelp();
}

function unsupported(flags: string, reason: string): Option {
  const reject = (): never => {
    throw new CommandError(EXIT_USAGE, `${flags.replace(/ <.*$/, '')}: ${reason}`);
  };
  return new Option(flags).argParser(reject).preset('').hideHelp();
}

function append(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** Whether any of the flags was given. */
export function hasCurlOptions({ user, cookie, userAgent, referer, head, get, data, json }: CurlOptions): boolean {
  return data.length > 0 || [user, cookie, userAgent, referer, head, get, json].some((value) => value !== undefined);
}

/** The request to `path` that curl would send with these flags; repeated data is joined into one body. */
export function curlRequest(path: string, options: CurlOptions): RequestSpec {
  const { head, get, data, json } = options;
  const text = json ?? data.join('&');
  const hasBody = json !== undefined || (data.length > 0 && get !== true);
  const target = get === true && data.length > 0 ? `${path}${path.includes('?') ? '&' : '?'}${data.join('&')}` : path;
  return {
    path: target,
    method: head === true ? 'HEAD' : hasBody ? 'POST' : 'GET',
    headers: [...valueHeaders(options), ...(hasBody ? typeHeaders(json !== undefined) : [])],
    ...(hasBody ? { body: text } : {}),
  };
}

function valueHeaders({ user, cookie, userAgent, referer }: CurlOptions): readonly (readonly [string, string])[] {
  const pair = (name: string, value: string | undefined): readonly (readonly [string, string])[] =>
    value === undefined ? [] : [[name, value]];
  return [
    ...pair('Authorization', user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`),
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
