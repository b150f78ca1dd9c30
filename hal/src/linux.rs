//! Real devices of a Linux board.
