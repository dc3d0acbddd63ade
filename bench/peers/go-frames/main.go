// The `frames` suite in plain Go: os.File over the descriptor, a frame a Read, as github.com/songgao/water does it.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const room = 2048

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-frames: error:", err)
		os.Exit(1)
	}
}

// Non-blocking, so the runtime's poller waits for it.
func openTap(name string) *os.File {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK, 0)
	must(err)
	var request struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], name)
	request.flags = unix.IFF_TAP | unix.IFF_NO_PI
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		must(errno)
	}
	return os.NewFile(uintptr(fd), "tun")
}

var counts [65536]uint32

// The benchmark ends standard input when it has seen enough.
func ready() {
	go func() {
		for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		}
		types := map[string]uint32{}
		for kind, count := range counts {
			if count > 0 {
				types[fmt.Sprintf("%04x", kind)] = count
			}
		}
		must(json.NewEncoder(os.Stdout).Encode(map[string]any{"types": types}))
		os.Exit(0)
	}()
	fmt.Println("ready")
}

func receive(from interface{ Read([]byte) (int, error) }, buffer []byte) []byte {
	n, err := from.Read(buffer)
	must(err)
	return buffer[:n]
}

func send(to *os.File, frame []byte) {
	_, err := to.Write(frame)
	must(err)
}

func read(burst int) {
	tap := openTap("lw0")
	ready()
	buffer := make([]byte, room)
	for {
		var start time.Time
		for i := 0; i < burst; i++ {
			frame := receive(tap, buffer)
			counts[binary.BigEndian.Uint16(frame[12:])]++
			if i == 0 {
				start = time.Now()
			}
		}
		fmt.Printf("%d %.9f\n", burst-1, time.Since(start).Seconds())
	}
}

func write(size, burst int) {
	tap := openTap("lw0")
	frame := make([]byte, size)
	copy(frame, []byte{2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 0x88, 0xb5})
	sequence := uint32(0)
	fmt.Println("ready")
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
		start := time.Now()
		for i := 0; i < burst; i++ {
			binary.LittleEndian.PutUint32(frame[14:], sequence)
			sequence++
			send(tap, frame)
		}
		fmt.Printf("%d %.9f\n", burst, time.Since(start).Seconds())
	}
	fmt.Println("{}")
}

type policy struct{ source, destination [256]bool }

func newPolicy() *policy {
	var p policy
	for i := range p.source {
		p.source[i] = i%16 != 15
		p.destination[i] = true
	}
	return &p
}

var (
	destinations = [5]byte{2, 0, 0, 0, 1}
	sources      = [5]byte{2, 0, 0, 0, 2}
)

func (p *policy) passes(frame []byte) bool {
	return *(*[5]byte)(frame[0:5]) == destinations && p.destination[frame[5]] &&
		*(*[5]byte)(frame[6:11]) == sources && p.source[frame[11]]
}

func forward() {
	from, to := openTap("lw0"), openTap("lw1")
	ready()
	p := newPolicy()
	buffer := make([]byte, room)
	for {
		if frame := receive(from, buffer); p.passes(frame) {
			send(to, frame)
		}
	}
}

func move(from, to *os.File) {
	for buffer := make([]byte, room); ; {
		send(to, receive(from, buffer))
	}
}

// A goroutine for each direction.
func pipe() {
	a, b := openTap("lw0"), openTap("lw1")
	ready()
	go move(b, a)
	move(a, b)
}

func echo() {
	tap := openTap("lw0")
	ready()
	buffer := make([]byte, room)
	for {
		frame := receive(tap, buffer)
		source := *(*[6]byte)(frame[6:12])
		copy(frame[6:12], frame[0:6])
		copy(frame[0:6], source[:])
		send(tap, frame)
	}
}

func tunnel(end int) {
	tap := openTap("lw0")
	address := func(end int) *net.UDPAddr { return &net.UDPAddr{IP: net.IPv4(192, 168, 9, byte(end)), Port: 4789} }
	udp, err := net.DialUDP("udp4", address(end), address(3-end))
	must(err)
	ready()
	go func() {
		for buffer := make([]byte, room); ; {
			_, _ = udp.Write(receive(tap, buffer)) // a peer that is not there yet loses it
		}
	}()
	for buffer := make([]byte, room); ; {
		if n, err := udp.Read(buffer); err == nil {
			send(tap, buffer[:n])
		}
	}
}

func main() {
	number := func(text string) int {
		value, err := strconv.Atoi(text)
		must(err)
		return value
	}
	if len(os.Args) < 4 {
		must(fmt.Errorf("usage: <workload> <bytes a frame> <frames a burst> [end]"))
	}
	size, burst := number(os.Args[2]), number(os.Args[3])
	switch workload := os.Args[1]; workload {
	case "read":
		read(burst)
	case "write":
		write(size, burst)
	case "forward":
		forward()
	case "pipe":
		pipe()
	case "echo":
		echo()
	case "tunnel":
		tunnel(number(os.Args[4]))
	default:
		must(fmt.Errorf("no workload %s", workload))
	}
}
