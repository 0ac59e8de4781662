/*
 * Reads invariants: what must hold for workloads whatever their policies are, in the rule syntax of AuthorizationPolicy. Rules are checked as
 * admission checks those of a policy.
 */
import * as z from 'zod';
import { policyFindings } from '../../api/istio/accept-policy.ts';
import { parseYamlDocument } from '../../api/kube/yaml-documents.ts';
import type { Finding } from '../../errors.ts';
import type { Labels } from '../../resolve/policy-applies.ts';
import { type CommandContext, CommandError } from '../context/command-context.ts';
import { EXIT_BAD_DATA } from '../context/exit-codes.ts';
import { createLocator } from './locate-field.ts';
import { type LocatedFinding, locateInFile } from './located-finding.ts';
import { requireInput } from './read-file.ts';

/** The kinds of invariant. */
export const INVARIANT_KINDS = ['neverAllow', 'alwaysAllow', 'requireToken', 'onlyFrom'] as const;
/** One of {@link INVARIANT_KINDS}. */
export type InvariantKind = (typeof INVARIANT_KINDS)[number];

const MAX_INVARIANTS = 1000;

const texts = z.array(z.string().min(1)).min(1);
const entries = z.array(z.record(z.string(), z.unknown())).min(1);
const invariantSchema = z.strictObject({
  name: z.string().min(1),
  description: z.string().optional(),
  workloads: z.strictObject({
    namespaces: texts.optional(),
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }).optional(),
  }),
  neverAllow: entries.optional(),
  alwaysAllow: entries.optional(),
  requireToken: z.strictObject({ paths: texts.optional(), notPaths: texts.optional(), issuers: texts.optional() }).optional(),
  onlyFrom: z.strictObject({ from: entries, to: entries.optional() }).optional(),
});
const fileSchema = z.strictObject({ invariants: z.array(z.unknown()).min(1).max(MAX_INVARIANTS) });

type WrittenInvariant = z.infer<typeof invariantSchema>;

/** A rule of AuthorizationPolicy as written. */
export type WrittenRule = Readonly<Record<string, unknown>>;

/** One invariant. */
export interface Invariant {
  readonly name: string;
  readonly kind: InvariantKind;
  /** Where it is written. */
  readonly file: string;
  readonly line: number;
  /** Names, or with `*` at the start or end; absent: any. */
  readonly namespaces: readonly string[] | undefined;
  readonly labels: Labels;
  /** Of `onlyFrom`: one rule with `from` and `to`. */
  readonly rules: readonly WrittenRule[];
}

/** What a file of invariants contains. */
export interface InvariantFile {
  /** Those without findings. */
  readonly invariants: readonly Invariant[];
  readonly findings: readonly LocatedFinding[];
}

/** The invariants of the file. @throws CommandError when it cannot be read, or has no list of invariants */
export async function readInvariants(file: string, context: CommandContext): Promise<InvariantFile> {
  return parseInvariants(await requireInput(file, context), file);
}

/** The invariants of a text. @param file its name @throws CommandError when the text has no list of invariants */
export function parseInvariants(text: string, file: string): InvariantFile {
  const { document, lineCounter, error } = parseYamlDocument(text);
  if (error !== undefined) throw new CommandError(EXIT_BAD_DATA, `${file}:${error.line}: ${error.message}`);
  const line = lineCounter.linePos(document.contents?.range?.[0] ?? 0).line;
  const locator = createLocator(new Map([[file, text]]));
  const object = { apiVersion: '', kind: '', metadata: { name: '' } };
  const locate = (path: string): ReturnType<typeof locator> => locator({ object, origin: { file, line } }, path);
  const read = fileSchema.safeParse(document.toJS());
  if (!read.success) {
    const issue = schemaFindings(read.error, '')[0];
    const at = issue?.path ?? '';
    throw new CommandError(EXIT_BAD_DATA, `${file}:${locate(at).line}: ${at === '' ? '' : `${at}: `}${issue?.message ?? ''}`);
  }
  const findings: Finding[] = [];
  const invariants: Invariant[] = [];
  const names = new Set<string>();
  for (const [index, raw] of read.data.invariants.entries()) {
    const path = `invariants[${index}]`;
    const parsed = invariantSchema.safeParse(raw);
    const own = parsed.success ? findingsOf(parsed.data, path) : schemaFindings(parsed.error, path);
    if (parsed.success && names.has(parsed.data.name)) own.push(fault(`${path}.name`, 'another invariant has this name'));
    if (parsed.success) names.add(parsed.data.name);
    findings.push(...own);
    if (parsed.success && own.length === 0) invariants.push(invariantOf(parsed.data, { file, line: locate(path).line }));
  }
  return { invariants, findings: findings.map((finding) => locateInFile(finding, { file, ...locate(finding.path) })) };
}

function fault(path: string, message: string): Finding {
  return { code: 'SP_SCHEMA', severity: 'error', path, message };
}

function schemaFindings({ issues }: z.ZodError, path: string): Finding[] {
  return issues.map((issue) =>
    fault(pathText(path, issue.code === 'unrecognized_keys' ? [...issue.path, issue.keys[0] ?? ''] : issue.path), issue.message),
  );
}

function pathText(start: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`),
    start,
  );
}

/** What is wrong with an invariant whose fields are known. */
function findingsOf(written: WrittenInvariant, path: string): Finding[] {
  const kinds = INVARIANT_KINDS.filter((kind) => written[kind] !== undefined);
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1) return [fault(path, `needs exactly one of ${INVARIANT_KINDS.join(', ')}`)];
  const { namespaces, selector } = written.workloads;
  const found: Finding[] = [];
  if (namespaces === undefined && Object.keys(selector?.matchLabels ?? {}).length === 0)
    found.push(fault(`${path}.workloads`, "names no workload: give namespaces, a selector or both; namespaces: ['*'] are all"));
  const rules = rulesOf(written, kind);
  for (const [index, rule] of rules.entries()) {
    if (Object.values(rule).every(isEmptyPart))
      found.push(fault(`${path}.${kind}[${index}]`, 'an empty rule matches every request, which no invariant means'));
  }
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'invariant', namespace: 'default' },
    spec: { rules },
  };
  const refused = policyFindings(policy, 'manifest').filter(({ severity }) => severity === 'error');
  return [
    ...found,
    ...refused.map(({ code, severity, message, hint, path: inPolicy }) => ({
      code,
      severity,
      message,
      path: pathInFile(inPolicy, `${path}.${kind}`, kind),
      ...(hint === undefined ? {} : { hint }),
    })),
  ];
}

/** Like one that is absent. */
function isEmptyPart(part: unknown): boolean {
  return part === null || part === undefined || (Array.isArray(part) && part.length === 0);
}

/** The field of the invariant that became a field of the policy. */
function pathInFile(inPolicy: string, path: string, kind: InvariantKind): string {
  const [, index = '', rest = ''] = /^spec\.rules(\[\d+\])(.*)$/.exec(inPolicy) ?? [];
  if (kind === 'neverAllow' || kind === 'alwaysAllow') return `${path}${index}${rest}`;
  if (kind === 'onlyFrom') return `${path}${rest}`;
  const field = rest.replace(/^\.to\[0\]\.operation/, '').replace(/^\.when\[0\]\.notValues/, '.issuers');
  return `${path}${field}`;
}

function rulesOf({ neverAllow, alwaysAllow, requireToken, onlyFrom }: WrittenInvariant, kind: InvariantKind): readonly WrittenRule[] {
  if (kind === 'onlyFrom') return [onlyFrom ?? {}];
  if (kind !== 'requireToken') return (kind === 'neverAllow' ? neverAllow : alwaysAllow) ?? [];
  const { issuers = ['*'], ...operation } = requireToken ?? {};
  const to = Object.keys(operation).length === 0 ? {} : { to: [{ operation }] };
  // A verified token has an issuer, also where it has no subject and so no request principal.
  return [{ ...to, when: [{ key: 'request.auth.claims[iss]', notValues: issuers }] }];
}

function invariantOf(written: WrittenInvariant, place: Pick<Invariant, 'file' | 'line'>): Invariant {
  const kind = INVARIANT_KINDS.find((one) => written[one] !== undefined) ?? 'neverAllow';
  const { namespaces, selector } = written.workloads;
  return { ...place, name: written.name, kind, namespaces, labels: selector?.matchLabels ?? {}, rules: rulesOf(written, kind) };
}
