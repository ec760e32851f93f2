// Publishes ports of the cluster on the host: it listens where a JSON file says and splices TCP to a target.
//
//	[{"listen": "127.0.0.1:8030", "target": "10.77.0.1:30030"}, …]
//
// It exists because kube-proxy's nftables mode refuses NodePorts on 127.0.0.1. SIGHUP re-reads the file: listeners
// that stay keep their connections, a changed target counts for new connections, removed ones stop listening. A port
// that is taken does not stop the others: it is reported on standard error and tried again every second.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	maxConnections = 1024 // per listener; further clients wait in the kernel's backlog
	dialTimeout    = 5 * time.Second
	retryListen    = time.Second
)

type rule struct {
	Listen string `json:"listen"`
	Target string `json:"target"`
}

func readRules(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rules []rule
	if err := json.Unmarshal(text, &rules); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	targets := make(map[string]string, len(rules))
	for _, r := range rules {
		for _, address := range []string{r.Listen, r.Target} {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		if _, twice := targets[r.Listen]; twice {
			return nil, fmt.Errorf("%s: %s is listed twice", path, r.Listen)
		}
		targets[r.Listen] = r.Target
	}
	return targets, nil
}

// port is one listening address. It lives until closed, whatever happens to its listener in between.
type port struct {
	address string
	target  atomic.Value // string
	slots   chan struct{}
	done    chan struct{}
	mutex   sync.Mutex
	socket  net.Listener
}

func open(address, target string) *port {
	p := &port{address: address, slots: make(chan struct{}, maxConnections), done: make(chan struct{})}
	p.target.Store(target)
	if err := p.listen(); err != nil {
		log.Printf("cannot listen: %v (trying again)", err)
	}
	go p.serve()
	return p
}

func (p *port) listen() error {
	socket, err := net.Listen("tcp", p.address)
	if err != nil {
		return err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.closed() {
		_ = socket.Close()
		return net.ErrClosed
	}
	p.socket = socket
	log.Printf("listening on %s for %s", p.address, p.target.Load())
	return nil
}

func (p *port) closed() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *port) close() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	close(p.done)
	if p.socket != nil {
		_ = p.socket.Close()
	}
}

func (p *port) serve() {
	for !p.closed() {
		p.mutex.Lock()
		socket := p.socket
		p.mutex.Unlock()
		if socket != nil {
			p.accept(socket)
			continue
		}
		select {
		case <-p.done:
		case <-time.After(retryListen):
			_ = p.listen()
		}
	}
}

// accept hands connections out until the listener is closed. A slot is taken before accepting, so that a full
// forwarder leaves clients in the backlog instead of holding a descriptor for each.
func (p *port) accept(socket net.Listener) {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-p.done:
			return
		}
		client, err := socket.Accept()
		if err != nil {
			<-p.slots
			if errors.Is(err, net.ErrClosed) {
				return
			}
			log.Printf("accept on %s: %v", p.address, err)
			time.Sleep(10 * time.Millisecond) // out of descriptors: let some connections end
			continue
		}
		go func() {
			defer func() { <-p.slots }()
			splice(client.(*net.TCPConn), p.target.Load().(string))
		}()
	}
}

// splice carries bytes both ways until both sides have finished. The end of one direction is passed on as a
// half-close, so that a client which shuts down its writing side still gets its answer.
func splice(client *net.TCPConn, target string) {
	defer client.Close()
	connection, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		log.Printf("connect: %v", err)
		_ = client.SetLinger(0) // a reset tells the client at once; an orderly end would look like an empty answer
		return
	}
	server := connection.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Add(2)
	go carry(server, client, &both)
	go carry(client, server, &both)
	both.Wait()
}

func carry(to, from *net.TCPConn, both *sync.WaitGroup) {
	defer both.Done()
	if _, err := io.Copy(to, from); err != nil {
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite()
}

// apply makes the open ports match targets.
func apply(ports map[string]*port, targets map[string]string) {
	for address, p := range ports {
		if _, kept := targets[address]; !kept {
			p.close()
			delete(ports, address)
			log.Printf("stopped listening on %s", address)
		}
	}
	for address, target := range targets {
		if p, known := ports[address]; known {
			p.target.Store(target)
		} else {
			ports[address] = open(address, target)
		}
	}
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: forwarder FILE.json")
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	targets, err := readRules(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	ports := map[string]*port{}
	apply(ports, targets)
	for received := range signals {
		if received != syscall.SIGHUP {
			return
		}
		if targets, err := readRules(os.Args[1]); err != nil {
			log.Printf("keeping the ports as they are: %v", err)
		} else {
			apply(ports, targets)
		}
	}
}
