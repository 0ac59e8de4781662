/*
 * Builds the messages and warnings that Istio's admission webhook returns for a policy, character for character, from the
 * findings of validation.
 */
import { admissionTextOf, errorBlock, type ValidationFinding } from './validation-finding.ts';

/** Errors that Istio formats as a block even when there is only one. */
const ALWAYS_BLOCK = /^bad (?:IP address|CIDR range|port) \(/;

/**
 * Istio's error text for one object: a single error as one line, several as a block. A single error of a JWT rule, an
 * address or a port is also a block.
 *
 * @param findings result of {@link validatePolicy}; CRD findings and warnings are ignored
 * @returns undefined if there is no error. Without the prefix `configuration is invalid: `, which {@link denialMessage} adds
 */
export function admissionError(kind: string, namespace: string, name: string, findings: readonly ValidationFinding[]): string | undefined {
  const errors = findings.filter((finding) => finding.severity === 'error' && finding.stage !== 'crd');
  const decode = errors.find((finding) => finding.stage === 'decode');
  if (decode !== undefined) return admissionTextOf(decode);
  // Istio checks top-level fields last, only if there is no other error, and reports one of them.
  const reported = errors.filter(({ code }) => code !== 'SP_SCHEMA');
  const [first] = reported;
  if (first === undefined) return errors[0] === undefined ? undefined : admissionTextOf(errors[0]);
  const lines = reported.map((finding) => `${prefixOf(kind, namespace, name, finding)}${admissionTextOf(finding)}`);
  const isBlock = lines.length > 1 || first.path.startsWith('spec.jwtRules') || ALWAYS_BLOCK.test(admissionTextOf(first));
  return isBlock ? errorBlock(lines) : lines[0];
}

/** The whole message of a denial, including the prefix that names the stage; undefined if the object is admitted. */
export function denialMessage(kind: string, namespace: string, name: string, findings: readonly ValidationFinding[]): string | undefined {
  const error = admissionError(kind, namespace, name, findings);
  if (error === undefined) return undefined;
  if (findings.some((finding) => finding.stage === 'decode' && finding.severity === 'error'))
    return `error decoding configuration: ${error}`;
  return error.startsWith('unknown field ') ? error : `configuration is invalid: ${error}`;
}

/** The webhook's warnings, one string each; may contain duplicates. */
export function admissionWarnings(findings: readonly ValidationFinding[]): readonly string[] {
  return findings.filter((finding) => finding.severity === 'warning').map(admissionTextOf);
}

function prefixOf(kind: string, namespace: string, name: string, finding: ValidationFinding): string {
  const isPrefixed = kind === 'AuthorizationPolicy' && finding.code !== 'SP_ANNOTATION' && finding.code !== 'SP_SCHEMA';
  return isPrefixed ? `invalid policy ${name}.${namespace}: ` : '';
}
