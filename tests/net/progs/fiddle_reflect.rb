#!/usr/bin/env ruby
# SPDX-License-Identifier: BSD-2-Clause
# Writes diverted packets back with libdivert, which it loads: fiddle_reflect.rb LIBRARY PORT COUNT
require "fiddle"

library, port, left = ARGV[0], ARGV[1].to_i, ARGV[2].to_i
lib = Fiddle.dlopen(library)
int, pointer, size = Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T
call = lambda { |name, args, result = int| Fiddle::Function.new(lib[name], args, result) }
socket = call["divert_socket", [int, int]]
bind = call["divert_bind", [int, pointer, int]]
receive = call["divert_recvfrom", [int, pointer, size, int, pointer, pointer], Fiddle::TYPE_SSIZE_T]
send = call["divert_sendto", [int, pointer, size, int, pointer, int], Fiddle::TYPE_SSIZE_T]

fd = socket.call(2, 0)
address = [2, port].pack("Sn") + "\0" * 12
abort "divert: errno #{Fiddle.last_error}" if fd < 0 || bind.call(fd, address, 16) != 0
puts "bound port #{port}"
$stdout.flush
packet, where = "\0" * 65535, "\0" * 16
left.times do
  n = receive.call(fd, packet, 65535, 0, where, [16].pack("I"))
  abort "divert_sendto: errno #{Fiddle.last_error}" if send.call(fd, packet, n, 0, where, 16) != n
  puts "#{n} bytes"
end
