/*
 * Findings of validation, shared by the three stages that an applied policy passes, and the exact texts that admission
 * returns for them.
 */
import type { ErrorCode, Finding } from '../../errors.ts';

/**
 * Who rejects the object: `crd` the API server by the CRD, `decode` Istio's decoder, `webhook` Istio's admission webhook; `envoy`
 * an Envoy that would get its configuration, after admission.
 */
export type ValidationStage = 'crd' | 'decode' | 'webhook' | 'envoy';

/** A finding whose exact text in a cluster may differ from its message. */
export interface AdmissionFinding extends Finding {
  /** Exact text of the API server or of Istio, where that text is a Go library's; absent: the message is the exact text. */
  readonly admissionMessage?: string;
}

/** A finding with the stage that reports it. */
export interface ValidationFinding extends AdmissionFinding {
  readonly stage: ValidationStage;
}

/** The text of a finding: its message, and the exact admission text where that differs. */
export type FindingText = Pick<AdmissionFinding, 'message' | 'admissionMessage'>;

/** Collects the findings of the webhook stage. */
export interface WebhookReport {
  readonly findings: ValidationFinding[];
}

/** Adds an error of the webhook stage. */
export function webhookError(report: WebhookReport, code: ErrorCode, path: string, text: string | FindingText): void {
  const { message, admissionMessage }: FindingText = typeof text === 'string' ? { message: text } : text;
  report.findings.push({
    stage: 'webhook',
    code,
    severity: 'error',
    path,
    message,
    ...(admissionMessage === undefined ? {} : { admissionMessage }),
  });
}

/** Adds a warning of the webhook stage. */
export function webhookWarning(report: WebhookReport, code: ErrorCode, path: string, message: string): void {
  report.findings.push({ stage: 'webhook', code, severity: 'warning', path, message });
}

/** Text that the API server or Istio's webhook returns for a finding, character for character. */
export function admissionTextOf({ message, admissionMessage = message }: FindingText): string {
  return admissionMessage;
}

/** Several error lines in the format of Istio's multi-error. */
export function errorBlock(messages: readonly string[]): string {
  const head = messages.length === 1 ? '1 error occurred:' : `${messages.length} errors occurred:`;
  return `${head}\n${messages.map((message) => `\t* ${message}\n`).join('')}\n`;
}
