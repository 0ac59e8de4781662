/*
 * docs/reference/support-matrix.md: every field of both kinds, from the CRDs (the fields), the lowering (what a field is
 * compared with, and what remains of it on TCP), the conformance cases (the evidence), and the notes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { crdFiles } from '../../src/api/crd/custom-resource-definitions.ts';
import { parsePolicy } from '../../src/api/istio/parse-policy.ts';
import { DEFAULT_MESH_CONFIG } from '../../src/api/mesh-config.ts';
import { plural } from '../../src/cli/output/plural.ts';
import { lowerPolicies } from '../../src/policy/lower/lower-policies.ts';
import { KUBERNETES } from '../../test/cluster/versions.ts';
import { code, GENERATED, markdownTable } from './markdown.ts';
import {
  AUTHORIZATION_POLICY_NOTES,
  CONDITION_NOTES,
  POD_SECURITY_ROWS,
  REQUEST_AUTHENTICATION_NOTES,
  type SupportNote,
  VERSION_ROWS,
} from './support-notes.ts';

type Kind = 'RequestAuthentication' | 'AuthorizationPolicy';

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

interface Crd {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[];
  };
}

interface Case {
  readonly resources: readonly { readonly kind: string; readonly spec?: unknown }[];
  readonly requests: readonly unknown[];
}

interface Proof {
  cases: number;
  requests: number;
}

const CASES = new URL('../../test/conformance/', import.meta.url);
const SAMPLE: Readonly<Record<string, string>> = {
  principals: 'cluster.local/ns/foo/sa/a',
  requestPrincipals: 'iss/sub',
  namespaces: 'foo',
  serviceAccounts: 'foo/a',
  trustDomains: 'cluster.local',
  ipBlocks: '10.0.0.0/8',
  remoteIpBlocks: '10.0.0.0/8',
  hosts: 'a.example',
  ports: '80',
  methods: 'GET',
  paths: '/a',
};

/** Text of docs/reference/support-matrix.md. */
export function supportPage(): string {
  const proofs = readProofs();
  return [
    GENERATED,
    '# Support matrix\n\n',
    'Every field of both kinds. *Recorded use* counts the recorded cases of real Istio and Envoy in `test/conformance` that use the\n',
    'field, and the requests in them; all are replayed by `npm run conformance`, and a difference that\n',
    '[differences](../differences.md) does not name fails. *On TCP* says what remains of a rule on a TCP port: as in Istio, a field that only\n',
    'HTTP has drops its rule under ALLOW, and is removed from its rule under DENY, AUDIT and CUSTOM. Source: `scripts/reference/support-notes.ts`.\n',
    '\n## Istio versions\n\n',
    'Policies are admitted and enforced as by Istio 1.31. What Istio 1.32 adds to the two kinds:\n\n',
    markdownTable(['addition', 'Istio 1.31', 'Istio 1.32', 'Sallyport'], VERSION_ROWS),
    '\n## Kubernetes versions\n\n',
    `Kubernetes ${KUBERNETES.lowest.minor} to ${KUBERNETES.highest.minor}. The first serves ValidatingAdmissionPolicies as v1, without which Helm refuses the chart. All suites run on\n`,
    `${KUBERNETES.highest.version}; on ${KUBERNETES.lowest.version}, each run of \`npm test\` installs, upgrades and uninstalls the chart, and covers the CRDs, the admission policies\n`,
    `and a published bundle. \`SALLYPORT_KUBERNETES=${KUBERNETES.lowest.minor} npm test -- integration\` runs the whole integration suite on it.\n`,
    '\n## Pod Security levels\n\n',
    'Levels of namespaces in which pods with agents run, by the chart value `capture.mode`; see [restricted namespaces](../tasks/restricted-namespaces.md).\n\n',
    markdownTable(['level', '`capture.mode: pod`', '`capture.mode: node`'], POD_SECURITY_ROWS),
    '\n## RequestAuthentication\n\n',
    markdownTable(
      ['field', 'support', 'recorded use', 'notes'],
      fieldRows('RequestAuthentication', REQUEST_AUTHENTICATION_NOTES, proofs).map(([field, status, proof, note]) => [
        field,
        status,
        proof,
        note,
      ]),
    ),
    '\n## AuthorizationPolicy\n\n',
    markdownTable(
      ['field', 'support', 'compared with', 'on TCP', 'recorded use', 'notes'],
      fieldRows('AuthorizationPolicy', AUTHORIZATION_POLICY_NOTES, proofs).map(([field, status, proof, note, path]) => [
        field,
        status,
        ...loweredField(path),
        proof,
        note,
      ]),
    ),
    '\n## Keys of `when`\n\n',
    markdownTable(
      ['key', 'support', 'compared with', 'on TCP', 'recorded use', 'notes'],
      Object.entries(CONDITION_NOTES).map(([key, { example, value, note }]) => [
        code(key),
        note.status,
        ...lowered({ when: [{ key: example, values: [value] }] }),
        proofText(proofs.get(`when ${keyFamily(example)}`)),
        note.note,
      ]),
    ),
  ].join('');
}

type FieldRow = readonly [field: string, status: string, proof: string, note: string, path: string];

/** @throws Error when fields and notes do not cover each other */
function fieldRows(kind: Kind, notes: Readonly<Record<string, SupportNote>>, proofs: ReadonlyMap<string, Proof>): readonly FieldRow[] {
  const fields = fieldsOf(kind);
  const stray = [
    ...fields.filter((field) => !Object.hasOwn(notes, field)),
    ...Object.keys(notes).filter((field) => !fields.includes(field)),
  ];
  if (stray.length > 0) throw new Error(`scripts/reference/support-notes.ts: ${kind}: no note for, or no field of: ${stray.join(', ')}`);
  return fields.map((field) => {
    const { status, note } = notes[field] as SupportNote;
    return [code(field), status, proofText(proofs.get(`${kind} ${field}`)), note, field];
  });
}

/** Paths of all leaves below `spec` in version v1. */
function fieldsOf(kind: Kind): readonly string[] {
  const crd = crdFiles()
    .map(({ text }) => parse(text) as Crd)
    .find(({ spec }) => spec.names.kind === kind);
  const schema = crd?.spec.versions.find(({ name }) => name === 'v1')?.schema.openAPIV3Schema.properties?.['spec'];
  return schema === undefined ? [] : leaves(schema, '');
}

function leaves(schema: Schema, path: string): readonly string[] {
  if (schema.properties !== undefined) {
    return Object.entries(schema.properties).flatMap(([name, part]) => leaves(part, path === '' ? name : `${path}.${name}`));
  }
  const isListOfObjects = schema.items?.properties !== undefined;
  return isListOfObjects && schema.items !== undefined ? leaves(schema.items, `${path}[]`) : [path];
}

function loweredField(path: string): readonly [attribute: string, onTcp: string] {
  const [, part, field = ''] = /^rules\[\]\.(from\[\]\.source|to\[\]\.operation)\.(\w+)$/.exec(path) ?? [];
  if (part === undefined) return ['', ''];
  const twin = /^not[A-Z]/.test(field) ? field.charAt(3).toLowerCase() + field.slice(4) : field;
  const entry = { [field]: [SAMPLE[twin] ?? ''] };
  return lowered(part.startsWith('from') ? { from: [{ source: entry }] } : { to: [{ operation: entry }] });
}

/** The lowered form of a rule with one field. */
function lowered(rule: unknown): readonly [attribute: string, onTcp: string] {
  const metadata = { name: 'a', namespace: 'foo' };
  const { value } = parsePolicy({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata, spec: { rules: [rule] } });
  if (value === undefined) throw new Error(`not a valid rule: ${JSON.stringify(rule)}`);
  const { program } = lowerPolicies({ namespace: 'foo', policies: [value], mesh: DEFAULT_MESH_CONFIG, keySetId: () => 'none' });
  const [made] = program.http.allow.rules;
  const clauses = [...(made?.from.flat() ?? []), ...(made?.to.flat() ?? []), ...(made?.when ?? [])];
  return [clauses.map(({ attribute }) => attribute).join(', '), program.tcp.allow.rules.length > 0 ? 'yes' : 'HTTP only'];
}

function proofText(proof: Proof | undefined): string {
  return proof === undefined ? 'no recorded case' : `${plural(proof.cases, 'case')}, ${plural(proof.requests, 'request')}`;
}

/** Cases and requests by `Kind field` and by `when family`. */
function readProofs(): ReadonlyMap<string, Proof> {
  const proofs = new Map<string, Proof>();
  for (const folder of ['cases/', 'random/']) {
    const names = readdirSync(new URL(folder, CASES)).filter((name) => name.endsWith('.json'));
    for (const name of names) countCase(JSON.parse(readFileSync(new URL(folder + name, CASES), 'utf8')) as Case, proofs);
  }
  return proofs;
}

function countCase({ resources, requests }: Case, proofs: Map<string, Proof>): void {
  const used = new Set<string>();
  for (const { kind, spec } of resources) note(spec, '', (path) => used.add(path.startsWith('when ') ? path : `${kind} ${path}`));
  for (const key of used) {
    const proof = proofs.get(key) ?? { cases: 0, requests: 0 };
    proof.cases += 1;
    proof.requests += requests.length;
    proofs.set(key, proof);
  }
}

function note(value: unknown, path: string, add: (path: string) => void): void {
  add(path);
  if (Array.isArray(value)) {
    for (const item of value) note(item, `${path}[]`, add);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    if (path === 'rules[].when[]' && name === 'key' && typeof part === 'string') add(`when ${keyFamily(part)}`);
    note(part, path === '' ? name : `${path}.${name}`, add);
  }
}

/** A key without the content of its brackets; all Envoy filters are one family. */
function keyFamily(key: string): string {
  return key.startsWith('experimental.') ? 'experimental' : key.replace(/\[.*$/s, '');
}
