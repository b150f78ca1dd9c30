// board.cpp: runs the sketch as an Arduino does, until standard input ends. For tests.
#include "Arduino.h"

#include SKETCH

int main() {
  setup();
  while (Serial1.available()) {
    loop();
  }
  loop(); // The last acknowledgement.
  return 0;
}
