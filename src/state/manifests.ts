/*
 * Text of a manifest file in, Kubernetes objects out, each with the place it came from. Lists are flattened. A file with
 * any YAML error yields no object, only findings: half a file is never taken. Used by the directory source and the CLI.
 */
import { LineCounter, parseAllDocuments } from 'yaml';
import { plainValue } from '../api/kube/plain-value.ts';
import type { Finding } from '../errors.ts';

/** A Kubernetes object as written, before any schema. */
export interface RawObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [key: string]: unknown };
  readonly [key: string]: unknown;
}

/** Where an object starts: `line` from 1. */
export interface Origin {
  readonly file: string;
  readonly line: number;
}

export interface ManifestObject {
  readonly object: RawObject;
  readonly origin: Origin;
}

/** A finding about a file; `path` is a path inside the object when there is one. */
export interface ManifestFinding extends Finding {
  readonly origin: Origin;
}

export interface ParsedManifests {
  readonly objects: readonly ManifestObject[];
  readonly findings: readonly ManifestFinding[];
}

const TEST_FILE = /\.sallyport-test\.ya?ml$/;

/** Is this the name of a table of policy tests, which stands among manifests and is none? */
export function isTestFile(name: string): boolean {
  return TEST_FILE.test(name);
}

/**
 * Parses every document of `text`. Empty documents are passed over.
 *
 * @param file named in origins and findings
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const lineCounter = new LineCounter();
  const findings: ManifestFinding[] = [];
  const objects: ManifestObject[] = [];
  const documents = parseAllDocuments(text, { lineCounter, prettyErrors: true, logLevel: 'error' });
  for (const document of Array.isArray(documents) ? documents : []) {
    const line = lineCounter.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
    const error = document.errors[0];
    if (error !== undefined) {
      findings.push(manifestError({ file, line: error.linePos?.[0].line ?? line }, error.message.split('\n')[0] ?? 'not YAML'));
      continue;
    }
    try {
      takeValue(plainValue(document), { file, line }, { objects, findings });
    } catch (error) {
      findings.push(manifestError({ file, line }, error instanceof Error ? error.message : String(error)));
    }
  }
  return findings.length > 0 ? { objects: [], findings } : { objects, findings };
}

/** A finding of severity error about a place in a file. */
export function manifestError(origin: Origin, message: string, hint?: string): ManifestFinding {
  return { code: 'SP_MANIFEST', severity: 'error', path: '', message, origin, ...(hint === undefined ? {} : { hint }) };
}

function takeValue(value: unknown, origin: Origin, into: { objects: ManifestObject[]; findings: ManifestFinding[] }): void {
  if (value === null || value === undefined) return;
  if (!isRecord(value)) {
    into.findings.push(manifestError(origin, 'not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected'));
    return;
  }
  if (Array.isArray(value['items']) && typeof value['kind'] === 'string' && value['kind'].endsWith('List')) {
    for (const item of value['items']) takeValue(item, origin, into);
    return;
  }
  const reason = whyNotAnObject(value);
  if (reason === '') into.objects.push({ object: value as unknown as RawObject, origin });
  else into.findings.push(manifestError(origin, reason));
}

function whyNotAnObject(value: Readonly<Record<string, unknown>>): string {
  if (typeof value['apiVersion'] !== 'string') return 'apiVersion is missing';
  if (typeof value['kind'] !== 'string') return 'kind is missing';
  const metadata = value['metadata'];
  if (!isRecord(metadata) || typeof metadata['name'] !== 'string' || metadata['name'] === '') return 'metadata.name is missing';
  if (metadata['namespace'] !== undefined && typeof metadata['namespace'] !== 'string') return 'metadata.namespace is not a string';
  return '';
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
