// Links as they are provisioned with this library: LinkAdd with all the attributes it takes, then a call for each other.
// TAPs are opened for use, so their descriptors stay open as those of linkwright do.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	together    = 1000 // TAPs of a bridge, macvtaps of a lower device
	portsBeside = 10
	tapMTU      = 1400
)

type provisioner struct {
	handle  *netlink.Handle
	peer    int
	taps    []*netlink.Tuntap
	workers int // goroutines that delete; one, unless somebody thinks of more
}

type steps struct {
	create, delete func(p *provisioner, count int)
}

var provisioning = map[string]steps{
	"taps":     {(*provisioner).createTaps, (*provisioner).deleteTaps},
	"macvtaps": {(*provisioner).createMacvtaps, deleteNamed("mvt")},
	"veth":     {(*provisioner).createVeth, deleteNamed("veth")},
	"bridges":  {(*provisioner).createBridges, (*provisioner).deleteBridges},
}

func attributes(prefix string, number int) netlink.LinkAttrs {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = prefix + strconv.Itoa(number)
	return attributes
}

func upAttributes(prefix string, number int) netlink.LinkAttrs {
	attributes := attributes(prefix, number)
	attributes.Flags = net.FlagUp
	return attributes
}

func (p *provisioner) named(name string) netlink.Link {
	link, err := p.handle.LinkByName(name)
	must(err)
	return link
}

// LinkAdd takes only the name and the master of a TAP.
func (p *provisioner) createTaps(count int) {
	var bridge netlink.Link
	for i := 0; i < count; i++ {
		if i%together == 0 {
			bridge = p.named("br" + strconv.Itoa(i/together))
		}
		base := attributes("tap", i)
		base.MasterIndex = bridge.Attrs().Index
		tap := &netlink.Tuntap{
			LinkAttrs:  base,
			Mode:       netlink.TUNTAP_MODE_TAP,
			Flags:      netlink.TUNTAP_NO_PI,
			NonPersist: true,
			Queues:     1,
		}
		must(p.handle.LinkAdd(tap))
		must(p.handle.LinkSetHardwareAddr(tap, net.HardwareAddr{0x02, 0x74, 0, 0, byte(i >> 8), byte(i)}))
		must(p.handle.LinkSetMTU(tap, tapMTU))
		must(p.handle.LinkSetUp(tap))
		p.taps = append(p.taps, tap)
	}
}

func (p *provisioner) deleteTaps(count int) {
	p.remove("tap", count)
	for _, tap := range p.taps[:count] {
		must(tap.Fds[0].Close())
	}
	p.taps = p.taps[count:]
}

func (p *provisioner) createMacvtaps(count int) {
	lower := 0
	for i := 0; i < count; i++ {
		if i%together == 0 {
			lower = p.named("lower" + strconv.Itoa(i/together)).Attrs().Index
		}
		base := upAttributes("mvt", i)
		base.ParentIndex = lower
		macvlan := netlink.Macvlan{LinkAttrs: base, Mode: netlink.MACVLAN_MODE_BRIDGE}
		must(p.handle.LinkAdd(&netlink.Macvtap{Macvlan: macvlan}))
	}
}

func (p *provisioner) createVeth(count int) {
	for i := 0; i < count; i++ {
		must(p.handle.LinkAdd(&netlink.Veth{
			LinkAttrs:     upAttributes("veth", i),
			PeerName:      "peer" + strconv.Itoa(i),
			PeerNamespace: netlink.NsPid(p.peer),
		}))
	}
}

func (p *provisioner) createBridges(count int) {
	for i := 0; i < count; i++ {
		bridge := &netlink.Bridge{LinkAttrs: upAttributes("br", i)}
		must(p.handle.LinkAdd(bridge))
		for port := i * portsBeside; port < (i+1)*portsBeside; port++ {
			base := upAttributes("port", port)
			base.MasterIndex = bridge.Index
			must(p.handle.LinkAdd(&netlink.Ifb{LinkAttrs: base}))
		}
	}
}

func (p *provisioner) deleteBridges(count int) {
	p.remove("port", count*portsBeside)
	p.remove("br", count)
}

func deleteNamed(prefix string) func(p *provisioner, count int) {
	return func(p *provisioner, count int) { p.remove(prefix, count) }
}

// LinkDel takes a link that LinkAdd or a look-up has given its index. A handle serves one goroutine.
func (p *provisioner) remove(prefix string, count int) {
	numbers := make(chan int, count)
	for i := 0; i < count; i++ {
		numbers <- i
	}
	close(numbers)
	var done sync.WaitGroup
	for i := 0; i < p.workers; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			handle, err := netlink.NewHandle()
			must(err)
			defer handle.Delete()
			for number := range numbers {
				link, err := handle.LinkByName(prefix + strconv.Itoa(number))
				must(err)
				must(handle.LinkDel(link))
			}
		}()
	}
	done.Wait()
}

// Descriptors of TAPs that are gone.
func (p *provisioner) forget(int) {
	for _, tap := range p.taps {
		must(tap.Fds[0].Close())
	}
	p.taps = nil
}

// argv: provision <workload> <peer> <helper>; commands come by stdin, a line each. WORKERS in the environment.
func provision(workload, peer, helper string) {
	handle, err := netlink.NewHandle()
	must(err)
	p := &provisioner{handle: handle, workers: 1}
	if workers := os.Getenv("WORKERS"); workers != "" {
		p.workers, err = strconv.Atoi(workers)
		must(err)
	}
	if peer != "-" {
		p.peer, err = strconv.Atoi(peer)
		must(err)
	}
	work := provisioning[workload]
	verbs := map[string]func(int){
		"create": func(count int) { work.create(p, count) },
		"delete": func(count int) { work.delete(p, count) },
		"forget": p.forget,
	}
	answers := json.NewEncoder(os.Stdout)
	must(answers.Encode(struct{}{}))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var verb string
		var count int
		_, err := fmt.Sscan(lines.Text(), &verb, &count)
		must(err)
		start := time.Now()
		verbs[verb](count)
		must(answers.Encode(map[string]float64{"seconds": time.Since(start).Seconds()}))
	}
	must(exec.Command(helper, "clear").Run())
}
