/*
 * A finding of validation and the few ways to make one. Called by the layers of validation.
 */
import type { ErrorCode, Finding } from '../../errors.ts';

/**
 * Who would have found it: `crd` the API server by the CRD, `decode` Istio's decoder, `webhook` Istio's admission webhook.
 */
export type ValidationStage = 'crd' | 'decode' | 'webhook';

export interface ValidationFinding extends Finding {
  readonly stage: ValidationStage;
}

/** Collects the webhook layer's findings. */
export interface WebhookReport {
  readonly findings: ValidationFinding[];
}

/** Adds an error of the webhook layer. */
export function webhookError(report: WebhookReport, code: ErrorCode, path: string, message: string): void {
  report.findings.push({ stage: 'webhook', code, severity: 'error', path, message });
}

/** Adds a warning of the webhook layer. */
export function webhookWarning(report: WebhookReport, code: ErrorCode, path: string, message: string): void {
  report.findings.push({ stage: 'webhook', code, severity: 'warning', path, message });
}

/** Several error lines as Istio prints them. */
export function errorBlock(messages: readonly string[]): string {
  const head = messages.length === 1 ? '1 error occurred:' : `${messages.length} errors occurred:`;
  return `${head}\n${messages.map((message) => `\t* ${message}\n`).join('')}\n`;
}
