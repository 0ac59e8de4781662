/*
 * What is used of the gRPC library. In: nothing. Out: the library's own exports. The build makes a file of its own of this
 * one, so that an agent without gRPC authorizers does not hold the library's text in memory. Loaded by the gRPC asker.
 */
export { Client, credentials } from '@grpc/grpc-js';
export { fromJSON } from '@grpc/proto-loader';
