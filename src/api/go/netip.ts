/*
 * Checks IP addresses and CIDR blocks exactly like Go's net/netip, with Go's error texts. Matching addresses against blocks
 * is the task of src/policy/match.
 * @see https://pkg.go.dev/net/netip#ParseAddr
 */
import { goQuote } from './quote.ts';

/** The first fault of an address; `at`: the rest of the input from there. */
interface AddressFault {
  readonly why: string;
  readonly at?: string;
}

const MAX_ATOI = 2n ** 63n - 1n;
/** Go's term in its error text. */
const GO_BYTE = 'octet';
/** Length of an IPv6 address in bytes. */
const V6_BYTES = 16;

/** Go's error text if `text` is not an IP address; undefined if it is. A zone (`%eth0`) is allowed for IPv6. */
export function parseGoAddress(text: string): string | undefined {
  const fault = addressFault(text);
  if (fault === undefined) return undefined;
  const at = fault.at === undefined || fault.at === '' ? '' : ` (at ${goQuote(fault.at)})`;
  return `ParseAddr(${goQuote(text)}): ${fault.why}${at}`;
}

/** Go's error text if `text`, which contains a slash, is not a CIDR block; undefined if it is. Bits beyond the prefix may be set. */
export function parseGoPrefix(text: string): string | undefined {
  const slash = text.lastIndexOf('/');
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const fail = (reason: string): string => `netip.ParsePrefix(${goQuote(text)}): ${reason}`;
  const addressError = parseGoAddress(address);
  if (addressError !== undefined) return fail(addressError);
  if (address.includes('%')) return fail('IPv6 zones cannot be present in a prefix');
  if (!/^(\d|[1-9]\d*)$/.test(bits) || BigInt(bits) > MAX_ATOI) return fail(`bad bits after slash: ${goQuote(bits)}`);
  return Number(bits) > (address.includes(':') ? 128 : 32) ? fail('prefix length out of range') : undefined;
}

function addressFault(text: string): AddressFault | undefined {
  switch (/[.:%]/.exec(text)?.[0]) {
    case '.':
      return ipv4Fault(text);
    case ':':
      return ipv6Fault(text);
    case '%':
      return { why: 'missing IPv6 address' };
    default:
      return { why: 'unable to parse IP' };
  }
}

function ipv4Fault(text: string): AddressFault | undefined {
  let value = 0;
  let digits = 0;
  let dots = 0;
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (isDigit(character)) {
      if (digits === 1 && value === 0) return { why: `IPv4 field has ${GO_BYTE} with leading zero` };
      value = value * 10 + Number(character);
      digits += 1;
      if (value > 255) return { why: 'IPv4 field has value >255' };
    } else if (character === '.') {
      if (digits === 0 || index === text.length - 1) return { why: 'IPv4 field must have at least one digit', at: text.slice(index) };
      if (dots === 3) return { why: 'IPv4 address too long' };
      dots += 1;
      value = 0;
      digits = 0;
    } else {
      return { why: 'unexpected character', at: text.slice(index) };
    }
  }
  return dots < 3 ? { why: 'IPv4 address too short' } : undefined;
}

function ipv6Fault(text: string): AddressFault | undefined {
  const percent = text.indexOf('%');
  if (percent >= 0 && percent === text.length - 1) return { why: 'zone must be a non-empty string' };
  const address = percent < 0 ? text : text.slice(0, percent);
  const hasLeadingEllipsis = address.startsWith('::');
  if (address === '::') return undefined;
  return groupsFault(hasLeadingEllipsis ? address.slice(2) : address, hasLeadingEllipsis);
}

/** Checks the groups after a leading `::` from left to right, like Go, which reports the first fault. */
function groupsFault(text: string, hasLeadingEllipsis: boolean): AddressFault | undefined {
  let rest = text;
  let bytes = 0;
  let hasEllipsis = hasLeadingEllipsis;
  while (bytes < V6_BYTES) {
    const digits = /^[0-9A-Fa-f]*/.exec(rest)?.[0] ?? '';
    if (digits.length > 4) return { why: 'each group must have 4 or less digits', at: rest };
    if (digits === '') return { why: 'each colon-separated field must have at least one digit', at: rest };
    if (rest.charAt(digits.length) === '.') return embeddedFault(rest, bytes, hasEllipsis) ?? endFault('', bytes + 4, hasEllipsis);
    bytes += 2;
    rest = rest.slice(digits.length);
    if (rest === '') break;
    if (!rest.startsWith(':')) return { why: 'unexpected character, want colon', at: rest };
    if (rest === ':') return { why: 'colon must be followed by more characters', at: rest };
    rest = rest.slice(1);
    if (rest.startsWith(':')) {
      if (hasEllipsis) return { why: 'multiple :: in address', at: rest };
      hasEllipsis = true;
      rest = rest.slice(1);
      if (rest === '') break;
    }
  }
  return endFault(rest, bytes, hasEllipsis);
}

function embeddedFault(rest: string, bytes: number, hasEllipsis: boolean): AddressFault | undefined {
  if (!hasEllipsis && bytes !== 12) return { why: 'embedded IPv4 address must replace the final 2 fields of the address', at: rest };
  if (bytes + 4 > V6_BYTES) return { why: 'too many hex fields to fit an embedded IPv4 at the end of the address', at: rest };
  return ipv4Fault(rest);
}

function endFault(rest: string, bytes: number, hasEllipsis: boolean): AddressFault | undefined {
  if (rest !== '') return { why: 'trailing garbage after address', at: rest };
  if (bytes < V6_BYTES) return hasEllipsis ? undefined : { why: 'address string too short' };
  return hasEllipsis ? { why: 'the :: must expand to at least one field of zeros' } : undefined;
}

function isDigit(character: string): boolean {
  return character >= '0' && character <= '9';
}
