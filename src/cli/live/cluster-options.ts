/*
 * The options of kubectl that choose a cluster, a namespace and an identity.
 */
import type { Command } from 'commander';

/** The options that {@link addClusterOptions} adds, as commander returns them. */
export interface ClusterOptions {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly as?: string;
  readonly asGroup?: string;
}

/** Adds the options. @param scope `all`: also `-A`; `namespace`: the command is about one namespace */
export function addClusterOptions(command: Command, scope: 'all' | 'namespace'): Command {
  command.option('-n, --namespace <namespace>', 'namespace (default: that of the context)');
  if (scope === 'all') command.option('-A, --all-namespaces', 'all namespaces');
  return command
    .option('--kubeconfig <file>', 'kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('--as <user>', 'user to impersonate')
    .option('--as-group <group>', 'group to impersonate, with --as');
}

/** Whether one of the options was given, so that the command is about a cluster. */
export function namesCluster({ namespace, allNamespaces, kubeconfig, context, as, asGroup }: ClusterOptions): boolean {
  return allNamespaces === true || [namespace, kubeconfig, context, as, asGroup].some((value) => value !== undefined);
}
