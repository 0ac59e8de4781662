/*
 * The flags of curl that make a request what it is, so that a command line that failed can be pasted. In: their values. Out:
 * headers, method, query and body. What is curl's own affair (output, retries, certificates) is taken and passed over; what
 * would make another request than HTTP/1.1 is refused by name.
 */
import { type Command, Option } from 'commander';
import { CommandFault } from '../command-context.ts';
import { EXIT_USAGE } from '../exit-codes.ts';
import type { RequestSpec } from './request-spec.ts';

/** As commander hands them over. */
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
/** Taken, for they do not change the request. */
const PASSED_OVER: readonly string[] = [
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
const REFUSED: readonly (readonly [flags: string, reason: string])[] = [
  ['--http2', 'the request is judged as HTTP/1.1: leave it out'],
  ['-F, --form <part>', 'write the body as -d, and its type as -H: policies do not see more of it'],
  ['-x, --proxy <url>', 'nothing is sent: leave it out, and give headers that the proxy adds by -H'],
  ['--resolve <entry>', 'nothing is sent: the host of --url is enough'],
  ['-E, --cert <file>', 'give the identity in the certificate as --peer spiffe://…'],
];

/** Adds the flags to `command`; those without meaning here stay out of its help. */
export function addCurlOptions(command: Command): Command {
  command
    .addOption(
      new Option('-d, --data <text>', 'body of the request; makes it a POST; may be repeated').argParser(collect).default([], 'none'),
    )
    .addOption(hiddenData('--data-raw <text>'))
    .addOption(hiddenData('--data-binary <text>'))
    .addOption(hiddenData('--data-urlencode <text>'))
    .option('--json <text>', 'body of the request, with the headers that go with JSON')
    .option('-G, --get', 'put -d into the query')
    .option('-I, --head', 'make it a HEAD')
    .option('-u, --user <name:password>', 'credentials to send as `Authorization: Basic`')
    .option('-b, --cookie <pairs>', 'cookies, as `a=b; c=d`')
    .option('-A, --user-agent <text>', 'value of User-Agent')
    .option('-e, --referer <url>', 'value of Referer');
  for (const flags of PASSED_OVER) command.addOption(new Option(flags).hideHelp());
  for (const [flags, reason] of REFUSED) command.addOption(refused(flags, reason));
  // Every kind of data ends up in one list, in the order of the command line.
  return command.on('option:data-raw', push(command)).on('option:data-binary', push(command)).on('option:data-urlencode', push(command));
}

function push(command: Command): (text: string) => void {
  return (text) => void command.setOptionValue('data', [...(command.getOptionValue('data') as readonly string[]), text]);
}

function hiddenData(flags: string): Option {
  return new Option(flags).hideHelp();
}

function refused(flags: string, reason: string): Option {
  const refuse = (): never => {
    throw new CommandFault(EXIT_USAGE, `${flags.replace(/ <.*$/, '')}: ${reason}`);
  };
  return new Option(flags).argParser(refuse).preset('').hideHelp();
}

/** Repeated data is one body, as with curl. */
function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

/** Has the command line any of the flags? */
export function hasCurlOptions({ user, cookie, userAgent, referer, head, get, data, json }: CurlOptions): boolean {
  return data.length > 0 || [user, cookie, userAgent, referer, head, get, json].some((value) => value !== undefined);
}

/** What the flags make of a request to `path`, as curl does. */
export function curlRequest(path: string, options: CurlOptions): RequestSpec {
  const { head, get, data, json } = options;
  const text = json ?? data.join('&');
  const isBody = json !== undefined || (data.length > 0 && get !== true);
  const target = get === true && data.length > 0 ? `${path}${path.includes('?') ? '&' : '?'}${data.join('&')}` : path;
  return {
    path: target,
    method: head === true ? 'HEAD' : isBody ? 'POST' : 'GET',
    headers: [...headersOf(options), ...(isBody ? typeHeaders(json !== undefined) : [])],
    ...(isBody ? { body: text } : {}),
  };
}

function headersOf({ user, cookie, userAgent, referer }: CurlOptions): readonly (readonly [string, string])[] {
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
