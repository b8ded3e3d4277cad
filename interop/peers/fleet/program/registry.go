package main

import (
	"context"
	"encoding/json"
	"errors"
	"sync"

	"github.com/go-kratos/kratos/v3/registry"
)

// Registry is what a member needs of a vendor. The modules that Kratos has for them are not to be had everywhere; these keep to the same records and timings.
type Registry interface {
	registry.Registrar
	registry.Discovery
}

func openRegistry(config *RegistryConfig) (Registry, error) {
	if config == nil {
		return nil, nil
	}
	switch config.Kind {
	case "etcd":
		return openEtcd(config.Address)
	case "consul":
		return openConsul(config.Address)
	case "zookeeper":
		return openZookeeper(config.Address)
	}
	return nil, errors.New("unknown registry " + config.Kind)
}

const root = "/microservices"

func encode(instance *registry.ServiceInstance) ([]byte, error) { return json.Marshal(instance) }

func decode(text []byte) (*registry.ServiceInstance, error) {
	instance := new(registry.ServiceInstance)
	return instance, json.Unmarshal(text, instance)
}

// watcher gives each list that a vendor's loop found; a later one takes the place of one that nobody has taken.
type watcher struct {
	ctx    context.Context
	cancel context.CancelFunc
	lists  chan []*registry.ServiceInstance
	mutex  sync.Mutex
}

func newWatcher(ctx context.Context) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	return &watcher{ctx: ctx, cancel: cancel, lists: make(chan []*registry.ServiceInstance, 1)}
}

func (w *watcher) offer(list []*registry.ServiceInstance) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	select {
	case <-w.lists:
	default:
	}
	w.lists <- list
}

func (w *watcher) Next() ([]*registry.ServiceInstance, error) {
	select {
	case <-w.ctx.Done():
		return nil, w.ctx.Err()
	case list := <-w.lists:
		return list, nil
	}
}

func (w *watcher) Stop() error {
	w.cancel()
	return nil
}
