/* Puts the descriptor set into the program; declared in descriptors.h. */
    .section .rodata, "a"
    .balign 16
    .global flow_descriptors_begin
    .type flow_descriptors_begin, %object
flow_descriptors_begin:
    .incbin FLOW_DESCRIPTORS_FILE
    .global flow_descriptors_end
    .type flow_descriptors_end, %object
flow_descriptors_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
