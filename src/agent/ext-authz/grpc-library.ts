/*
 * The parts of the gRPC library that are used. The build makes this module a separate file, so that an agent without gRPC providers does not
 * hold the library in memory.
 */
export { Client, credentials } from '@grpc/grpc-js';
export { fromJSON } from '@grpc/proto-loader';
