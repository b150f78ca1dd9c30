// pressel_led: a lamp that obeys. Say "turn on the light", "turn off the light", or "stop"; with a
// closed list, what its ids 1 (on) and 2 (off) stand for.
//
// Connect: the Pressel's TX to RX1 of this board, its RX to TX1, ground to ground. Both sides have
// 3.3 V: a board with 5 V needs a divider or a level shifter in front of the Pressel's RX.
// Copy pressel.h into this folder, beside this file.
//
// For boards with a second serial port (`Serial1`): Mega, Leonardo, Nano Every, Zero, MKR, Due,
// ESP32, RP2040, Teensy, STM32. An Uno has one only, shared with USB: write `Serial` for `Serial1`,
// and pull the wire at its RX while you upload.

// A command is short. What is kept of a text costs as much memory.
#define PRESSEL_TEXT_BYTES_MAX 64
#include "pressel.h"

static struct pressel pressel;

// Takes a text; says what becomes of the lamp.
static void obey(const char *text) {
  if (strcmp(text, "turn on the light") == 0) {
    digitalWrite(LED_BUILTIN, HIGH);
  } else if (strcmp(text, "turn off the light") == 0 || strcmp(text, "stop") == 0) {
    digitalWrite(LED_BUILTIN, LOW);
  }
}

// The same for the ids of a closed list ([commands] of the Pressel's configuration).
static void obey_command(uint16_t command) {
  if (command == 1) {
    digitalWrite(LED_BUILTIN, HIGH);
  } else if (command == 2) {
    digitalWrite(LED_BUILTIN, LOW);
  }
}

void setup() {
  pinMode(LED_BUILTIN, OUTPUT);
  digitalWrite(LED_BUILTIN, LOW);
  Serial1.begin(115200);
  // Nothing is kept over a restart here: what the Pressel still remembers comes again, and the lamp
  // obeys it in order. With EEPROM or flash: begin with the mark that was kept.
  struct pressel_mark nothing = {0, 0};
  pressel_begin(&pressel, nothing);
}

void loop() {
  uint8_t out[PRESSEL_COMMAND_BYTES_MAX];
  size_t count = pressel_acknowledge(&pressel, out);
  if (count != 0) {
    Serial1.write(out, count);
  }
  if (Serial1.available() <= 0) {
    return;
  }
  enum pressel_event event = pressel_push(&pressel, (uint8_t)Serial1.read());
  if (event == PRESSEL_OUTCOME && pressel.message.u.outcome.result == PRESSEL_TEXT) {
    obey(pressel.text);
  } else if (event == PRESSEL_OUTCOME && pressel.message.u.outcome.result == PRESSEL_COMMAND) {
    obey_command(pressel.message.u.outcome.command);
  }
  // If pressel.mark is kept: here, after every PRESSEL_OUTCOME and every PRESSEL_GAP.
}
