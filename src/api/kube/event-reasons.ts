/*
 * Reasons of events that the command line reads.
 */

/** On the ConfigMap of the configuration: a change of it is refused. */
export const CONFIG_REJECTED = 'ConfigurationRejected';
/** On the same ConfigMap: a change is active. */
export const CONFIG_ACCEPTED = 'ConfigurationAccepted';
