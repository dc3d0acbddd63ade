// TCP through a pipe of two devices of golang.zx2c4.com/wireguard/tun (Debian's package, GOPATH mode). They are TUN, and
// take one packet a call, with the four bytes before it that this package asks for.
package main

import (
	"bufio"
	"fmt"
	"os"

	"golang.zx2c4.com/wireguard/tun"
)

const (
	mtu    = 1500
	offset = 4
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "wireguard-tun: error:", err)
		os.Exit(1)
	}
}

func open(name string) tun.Device {
	device, err := tun.CreateTUN(name, mtu)
	must(err)
	go func() {
		for range device.Events() {
		}
	}()
	return device
}

func move(from, to tun.Device) {
	for buffer := make([]byte, offset+65535); ; {
		n, err := from.Read(buffer, offset)
		must(err)
		_, err = to.Write(buffer[:offset+n], offset)
		must(err)
	}
}

func main() {
	a, b := open("lw0"), open("lw1")
	fmt.Println("ready")
	go move(a, b)
	go move(b, a)
	for input := bufio.NewScanner(os.Stdin); input.Scan(); {
	}
	fmt.Println("{}")
}
