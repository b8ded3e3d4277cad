package main

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/go-kratos/kratos/v3/registry"
)

// Kratos' records in etcd: /microservices/NAME/ID under a lease of 15 seconds.
type etcdRegistry struct {
	client *clientv3.Client
	mutex  sync.Mutex
	stops  map[string]context.CancelFunc
}

func openEtcd(address string) (Registry, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}, DialTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	return &etcdRegistry{client: client, stops: map[string]context.CancelFunc{}}, nil
}

func etcdKey(instance *registry.ServiceInstance) string {
	return root + "/" + instance.Name + "/" + instance.ID
}

func (r *etcdRegistry) Register(ctx context.Context, instance *registry.ServiceInstance) error {
	value, err := encode(instance)
	if err != nil {
		return err
	}
	lease, err := r.client.Grant(ctx, 15)
	if err != nil {
		return err
	}
	if _, err = r.client.Put(ctx, etcdKey(instance), string(value), clientv3.WithLease(lease.ID)); err != nil {
		return err
	}
	alive, stop := context.WithCancel(context.Background())
	answers, err := r.client.KeepAlive(alive, lease.ID)
	if err != nil {
		stop()
		return err
	}
	go func() {
		for range answers {
		}
	}()
	r.mutex.Lock()
	r.stops[instance.ID] = stop
	r.mutex.Unlock()
	return nil
}

func (r *etcdRegistry) Deregister(ctx context.Context, instance *registry.ServiceInstance) error {
	r.mutex.Lock()
	if stop := r.stops[instance.ID]; stop != nil {
		stop()
	}
	r.mutex.Unlock()
	_, err := r.client.Delete(ctx, etcdKey(instance))
	return err
}

func (r *etcdRegistry) GetService(ctx context.Context, name string) ([]*registry.ServiceInstance, error) {
	answer, err := r.client.Get(ctx, root+"/"+name, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	list := []*registry.ServiceInstance{}
	for _, entry := range answer.Kvs {
		instance, err := decode(entry.Value)
		if err != nil {
			return nil, err
		}
		if instance.Name == name {
			list = append(list, instance)
		}
	}
	return list, nil
}

func (r *etcdRegistry) Watch(ctx context.Context, name string) (registry.Watcher, error) {
	w := newWatcher(ctx)
	changes := r.client.Watch(w.ctx, root+"/"+name, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	go func() {
		for {
			if list, err := r.GetService(w.ctx, name); err == nil {
				w.offer(list)
			}
			if _, more := <-changes; !more {
				return
			}
		}
	}()
	return w, nil
}
