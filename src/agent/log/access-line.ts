/*
 * One line of the access log: a JSON object in ASCII, with field names of the OpenTelemetry semantic conventions where they exist. Claims,
 * header values and query strings never appear.
 */
import type { Clock } from '../../clock.ts';
import type { VerdictLog } from '../../filters/verdict.ts';
import { LIMITS } from '../../limits/agent-limits.ts';
import type { NearMiss } from '../../policy/decide/decision.ts';
import { peerLog } from '../../policy/facts.ts';
import type { DecisionAction } from '../../telemetry/agent-metrics.ts';
import type { ExchangeRecord } from '../exchange/exchange-record.ts';
import type { TcpRecord } from '../tcp/tcp-record.ts';
import { decisionOf, ruleOf } from './decision-of.ts';

/** Absent for HTTP/1.1. */
const HTTP2 = ',"network.protocol.version":"2"';
/** Needs escaping in a JSON string, or is not ASCII. */
const UNPLAIN = /[^ !#-[\]-~]/;
const NOT_ASCII = /[^\x20-\x7e]/g;
/** Most characters of one field; a path may have 60 KiB. */
const MAX_FIELD = LIMITS.accessLogField.value;

/** The line of a record with its line feed, at most about 10 KiB. @param endMs monotonic milliseconds at the end of the exchange */
export function accessLine(record: ExchangeRecord, clock: Clock, endMs: number = clock.nowMs()): string {
  const verdict = record.verdict;
  const durationMs = record.startMs === 0 ? 0 : endMs - record.startMs;
  return (
    `{"time":"${isoTime(clock.wallMs())}${requestFields(decisionOf(record), record.method)}${quote(withoutQuery(record.path))}` +
    `${serverFields(verdict?.host ?? '', record.destinationPort)}${record.status},"duration_ms":${durationMs.toFixed(3)}` +
    `${clientField(record.sourceIp)}${clientFields(record)}${tlsFields(record.tls)},"request_id":${quote(record.requestId)}` +
    `${record.protocol === '2' ? HTTP2 : ''}${detailsField(record.details)}${revokedField(record)}${ruleFields(verdict)}` +
    `${lastFields(verdict?.principal ?? '', record.digest)}\n`
  );
}

const requestFields = remembering(
  (decision: DecisionAction, method: string) =>
    `","component":"access","message":"request","decision":"${decision}","http.request.method":${quote(method)},"url.path":`,
);
const serverFields = remembering(
  (host: string, port: number) => `,"server.address":${quote(host)},"server.port":${port},"http.response.status_code":`,
);
const clientField = remembering((address: string) => `,"client.address":${quote(address)}`);
const detailsField = remembering((details: string) => `,"details":${quote(details)}`);
const lastFields = remembering((principal: string, digest: string) => `,"principal":${quote(principal)},"digest":"${digest}"}`);
const ruleField = remembering((namespace: string, name: string) => `,"policy":${quote(`${namespace}/${name}`)},"rule":`);

/** Formats again only what differs from the last call: successive lines have most values in common, and each piece of a line is garbage. */
function remembering<A>(format: (a: A) => string): (a: A) => string;
function remembering<A, B>(format: (a: A, b: B) => string): (a: A, b: B) => string;
function remembering<A, B>(format: (a: A | undefined, b: B | undefined) => string): (a?: A, b?: B) => string {
  let lastA: A | undefined;
  let lastB: B | undefined;
  let text = '';
  return (a, b) => {
    if (a === lastA && b === lastB && text !== '') return text;
    lastA = a;
    lastB = b;
    return (text = format(a, b));
  };
}

/** The line of a TCP connection with its line feed. */
export function connectionLine(record: TcpRecord, clock: Clock): string {
  const { facts, outcome, decision, customRule } = record;
  const { sni, tlsVersion } = facts;
  const version = tlsVersion === undefined ? '' : `,"tls.protocol.version":"${tlsVersion}"`;
  const identity = peerFields(peerLog(facts));
  return (
    `{"time":"${isoTime(clock.wallMs())}","component":"access","message":"connection","decision":"${outcome}"` +
    `,"network.transport":"tcp","server.address":${quote(facts.destinationIp)},"server.port":${facts.destinationPort}${serverNameField(sni)}` +
    `${version}${identity},"client.address":${quote(facts.sourceIp)},"duration_ms":${(clock.nowMs() - record.startMs).toFixed(3)}` +
    `,"received_bytes":${record.received},"sent_bytes":${record.sent},"details":${quote(record.details)}` +
    `${revokedField(record)}${ruleFields({ decision, customRule })},"digest":"${record.digest}"}\n`
  );
}

/** What is known of TLS that the agent terminated. */
function tlsFields(tls: ExchangeRecord['tls']): string {
  if (tls === undefined) return '';
  return `,"tls.protocol.version":"${tls.version}"${serverNameField(tls.serverName)}`;
}

function serverNameField(name: string): string {
  return name === '' ? '' : `,"tls.client.server_name":${quote(name)}`;
}

/** Why what was allowed at first is not allowed any longer. */
function revokedField({ revoked }: Pick<ExchangeRecord | TcpRecord, 'revoked'>): string {
  return revoked === undefined ? '' : `,"revoked":"${revoked}"`;
}

/** What is known of the client besides its address, where it differs from an ordinary client. */
function clientFields({ verdict, sourceIp }: ExchangeRecord): string {
  if (verdict === undefined) return '';
  const { remoteIp = sourceIp, peer, isGrpc } = verdict;
  const remote = remoteIp === sourceIp ? '' : `,"remote.ip":${quote(remoteIp)}`;
  return `${remote}${peerFields(peer)}${isGrpc === true ? ',"rpc.system":"grpc"' : ''}`;
}

/** Who the peer is, and how the agent knows. */
function peerFields(peer: ReturnType<typeof peerLog>): string {
  if (peer === undefined) return '';
  return `${peer.uri === '' ? '' : `,"source.principal":${quote(peer.uri)}`},"source.identity":"${peer.grade}"`;
}

type RuleLog = { readonly [K in 'decision' | 'customRule' | 'jwtRule' | 'nearMiss' | 'outcome']?: VerdictLog[K] | undefined };

/** The policy and rule that decided, the nearest rule when none did, and what dry-run policies would have done. */
function ruleFields(verdict: RuleLog | undefined): string {
  if (verdict === undefined) return '';
  const decision = verdict.decision;
  const by = ruleOf(verdict);
  const rule = by === undefined ? '' : `${ruleField(by.namespace, by.name)}${by.rule}`;
  const near = verdict.nearMiss === undefined ? '' : nearFields(verdict.nearMiss);
  const reason = decision === undefined ? '' : `,"reason":"${decision.reason}"`;
  const allow = decision?.dryRunAllow === undefined ? '' : `,"dry_run.allow":${decision.dryRunAllow.allowed}`;
  const deny = decision?.dryRunDeny === undefined ? '' : `,"dry_run.deny":${!decision.dryRunDeny.allowed}`;
  const audit = decision?.audit === undefined ? '' : `,"audit":${decision.audit}`;
  return `${reason}${rule}${near}${allow}${deny}${audit}`;
}

function nearFields({ source, clause, failing }: NearMiss): string {
  return `,"nearest.policy":${quote(`${source.namespace}/${source.name}`)},"nearest.rule":${source.rule},"nearest.clause":${quote(clause)},"nearest.failing":${failing}`;
}

function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end === -1 ? path : path.slice(0, end);
}

function quote(text: string): string {
  const short = text.length > MAX_FIELD ? text.slice(0, MAX_FIELD) : text;
  if (!UNPLAIN.test(short)) return `"${short}"`;
  return JSON.stringify(short).replace(NOT_ASCII, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

let lastSecond = -1;
/** Through the point before the milliseconds. */
let lastText = '';
let lastMs = -1;
let lastTime = '';

/** Formatted once per millisecond, the part before the milliseconds once per second. */
function isoTime(nowMs: number): string {
  if (nowMs === lastMs) return lastTime;
  lastMs = nowMs;
  const second = Math.floor(nowMs / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, -4);
  }
  const ms = Math.floor(nowMs) - second * 1000;
  return (lastTime = `${lastText}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`);
}
