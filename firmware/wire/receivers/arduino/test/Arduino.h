// Arduino.h: as much of an Arduino as the sketch needs, on a computer. For tests.
//
// Serial1 reads standard input; what is written, and each change of the LED, is a line of standard
// output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

const int LED_BUILTIN = 13;
const int OUTPUT = 1;
const int HIGH = 1;
const int LOW = 0;

inline void pinMode(int pin, int mode) {
  if (pin != LED_BUILTIN || mode != OUTPUT) {
    std::abort();
  }
}

inline void digitalWrite(int pin, int level) {
  if (pin != LED_BUILTIN) {
    std::abort();
  }
  std::printf("led %d\n", level);
}

struct FakeSerial {
  bool is_open = false;
  int next = EOF;

  void begin(unsigned long baud) {
    is_open = baud == 115200;
    next = std::getchar();
  }
  int available() const { return is_open && next != EOF; }
  int read() {
    int byte = next;
    next = std::getchar();
    return byte;
  }
  std::size_t write(const std::uint8_t *bytes, std::size_t count) {
    std::printf("send ");
    for (std::size_t index = 0; index < count; index++) {
      std::printf("%02x", bytes[index]);
    }
    std::printf("\n");
    return count;
  }
};
static FakeSerial Serial1;

void setup();
void loop();
