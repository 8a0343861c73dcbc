/* descriptors.h - the contract, compiled: descriptors.binpb, a google.protobuf.FileDescriptorSet, in this program. */
#ifndef FLOW_DESCRIPTORS_H
#define FLOW_DESCRIPTORS_H

extern const unsigned char flow_descriptors_begin[], flow_descriptors_end[];

#endif
